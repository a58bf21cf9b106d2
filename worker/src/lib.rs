//! The worker: a daemon that holds leases, and trainer processes that train with burn.
//!
//! [`session`] is the daemon: connection, leases, queues; it computes nothing, and keeps what trainers hand it in
//! the [`spool`]. [`trainer`] is the body of the process that trains: it touches no network. Everything else is the
//! science, from pictures ([`data`], [`augment`]) over networks and methods ([`models`], [`methods`], [`optim`],
//! [`schedule`]) to the loop ([`train`], [`checkpoint`]). [`weights`] exchanges encoders with other programs. What a sweep
//! file names below the data root is reached through a handle of that [`root`] alone.

pub mod augment;
pub mod checkpoint;
pub mod cpu;
pub mod data;
pub mod device;
pub mod identity;
pub mod methods;
pub mod models;
pub mod optim;
pub mod root;
pub mod schedule;
pub mod session;
pub mod spool;
pub mod train;
pub mod trainer;
pub mod weights;

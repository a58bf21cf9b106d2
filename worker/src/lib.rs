//! The worker: a daemon that holds leases, and trainer processes that train with burn.
//!
//! [`session`] is the daemon: connection, leases and queues. It computes nothing, and keeps the reports of its trainers
//! in the [`spool`]. [`trainer`] is the body of the process that trains; it never uses the network. The other modules
//! are the science: pictures ([`data`], [`augment`]), networks and methods ([`models`], [`methods`], [`optim`],
//! [`schedule`]), and the loop ([`train`], [`checkpoint`]). [`weights`] exchanges encoders with other programs. All
//! paths of a sweep file are below the data root and are reached only through its handle ([`root`]).

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

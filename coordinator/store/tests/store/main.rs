//! What every home of the store must do, and what a server's home must do beyond it, against real
//! `redis-server` processes that the tests start.

mod cuts;
mod failover;
mod golden;
mod homes;
mod lead;
mod proxy;
mod records;
mod server;
mod suite;
mod troubles;

//! Tests of what every store must do, and what a store on a server must do besides, with real `redis-server` processes
//! that the tests start.

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

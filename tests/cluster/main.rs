//! The tier of coordinators and workers as processes: what happens to a sweep when programs stop, die, lose each other
//! or their store.

mod campaigns;
mod data_push;
mod deletion;
mod limits;
mod monitoring;
mod outage;
mod refusals;
mod rehearsal;
mod rollback;
mod scaler;
mod sick_machine;
mod signals;
mod standby;
mod transfer;
mod until_idle;
mod workers;

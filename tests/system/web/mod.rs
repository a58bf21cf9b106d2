//! The web page of a real `coordinator serve`: logins and refusals, the read API, the incidents of other systems by name,
//! the limits, and a real browser.

mod access;
mod api;
mod axe;
mod browsing;
mod compare;
mod incidents;
mod limits;
mod size;
pub(crate) mod trained;
pub(crate) mod wire;

//! The web page of a real `coordinator serve`: logins and refusals, the incidents of other systems by name, the limits,
//! and a real browser.

mod access;
mod browsing;
mod incidents;
mod limits;
mod wire;

//! The tier of what surrounds the programs: bad and hostile input, artifacts, manifests, the web page in a browser.

mod artifacts;
mod artifacts_in_a_cluster;
mod bad_input;
mod hostile;
mod manifests;
mod web;

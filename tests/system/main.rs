//! The tier of what surrounds the programs: bad and hostile input, first sweeps, artifacts, exports, manifests, the web page in a browser.

mod artifacts;
mod artifacts_in_a_cluster;
mod bad_input;
mod exports;
mod hostile;
mod init;
mod manifests;
mod web;

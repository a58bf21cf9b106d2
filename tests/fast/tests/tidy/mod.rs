//! The walls of ARCHITECTURE.md, "What is absent", as tests: one file for each kind of wall, with the walls as a table.

mod circles;
mod dependencies;
mod files;
mod mutants;
mod names;
mod source;
mod tree;
mod words;
mod workspace;

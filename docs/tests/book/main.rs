//! Holds every page to the program: links, commands, reference, rights, errors, screens.
#![cfg(test)]

mod commands;
mod errors;
mod links;
mod reference;
mod rights;
mod screens;

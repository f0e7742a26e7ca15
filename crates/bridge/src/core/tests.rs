//! The core from outside: inputs with their times go in, messages for the two sides come out.

mod dialogue;
mod endurance;
mod interruptions;
mod keys;
mod link;
mod media;
mod news;
mod replacement;
mod rollover;
mod tools;
mod unheard;
mod world;

//! The rules, each shown by a test with its name; stories in rows (story.rs) and random histories
//! (histories.rs).

mod histories;
mod rules;
mod story;

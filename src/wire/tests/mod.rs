//! What holds of the wire as a whole: whatever is said arrives as it was said, and whatever else arrives is refused
//! without harm.

mod channels;
mod frames;
mod golden;
mod greeting;
mod links;
mod messages;
mod pumps;
mod requests;
mod samples;

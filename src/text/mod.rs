//! Text: what can be asked, the tokenizer, the prompt, the grammar of grounded answers and their words.

pub mod ask;
pub mod family;
pub mod grammar;
pub mod own;
pub mod speech;
pub mod template;
pub mod tokenizer;
pub mod wording;

pub use ask::Task;
pub use family::Family;

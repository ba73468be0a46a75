//! Text: what can be asked, the tokenizer, the prompt, the grammar of grounded answers.

pub mod ask;
pub mod family;
pub mod grammar;
pub mod own;
pub mod template;
pub mod tokenizer;

pub use ask::Task;
pub use family::Family;

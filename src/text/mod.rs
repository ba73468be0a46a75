//! Text in and out of the language model: tokens, the chat template, the grammar of grounded answers.

pub mod grammar;
pub mod template;
pub mod tokenizer;

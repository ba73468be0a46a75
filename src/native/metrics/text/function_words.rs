//! Function words of English for METEOR: the tokens whose relative frequency in running text is above one in a thousand, as the
//! reference program (METEOR 1.5, Denkowski & Lavie 2014) counted them. They weigh a third of a content word.

/// The tokens, most frequent first.
pub const FUNCTION_WORDS: [&str; 93] = [
    "the", ",", ".", "to", "of", "and", "a", "in", "that", "for", "\"", "is", "on", "'s", "it", "with", "was", "as", "said", "at", "he",
    "by", "be", "from", "have", "has", "are", "his", "but", "an", "this", "not", "i", "will", "’", "they", ")", "-rrb-", "(", "-lrb-",
    "who", "their", "had", "we", "which", "were", "been", "more", "or", "s", "its", "would", "about", "new", "one", "after", "you", ":",
    "also", "up", "when", "there", "than", "$", "all", "out", "her", "people", "she", "year", "two", "-", "can", "if", "last", "first",
    "“", "over", "other", "”", "into", "some", "what", "so", "--", "no", "time", "years", "could", "?", "'t", "—", "'",
];

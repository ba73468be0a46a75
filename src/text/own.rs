//! A person's own question: which part of the face it is about, and whether it is one that is not answered.
//!
//! The model knows a region by its token, hardly by its name; so a question that names one part is asked about that part. It
//! learned English alone; a question without a Latin letter is put in the task's own words, about the part that it names.
//! Who somebody is, how old, or of what origin is nothing that this program says; the model would answer such a question with
//! the nearest thing it knows, which is a claim of forgery, so it is not asked.

use super::Task;
use crate::error::{Error, Result};
use crate::fict::{self, Concept};

/// What people call parts whose name in the table is another. The whole word, or anything in Chinese.
const EVERYDAY: &[(&str, &str)] = &[
    ("brow", "eyebrows"),
    ("brows", "eyebrows"),
    ("eyebrow", "eyebrows"),
    ("left brow", "left_eyebrow"),
    ("right brow", "right_eyebrow"),
    ("eye", "eyes"),
    ("lip", "mouth"),
    ("lips", "mouth"),
    ("smile", "mouth"),
    ("teeth", "inner_mouth"),
    ("tongue", "inner_mouth"),
    ("cheek", "cheeks"),
    ("jawline", "jaw"),
    ("眉毛", "eyebrows"),
    ("左眉毛", "left_eyebrow"),
    ("右眉毛", "right_eyebrow"),
    ("眼睛", "eyes"),
    ("鼻", "nose"),
    ("嘴", "mouth"),
    ("嘴唇", "mouth"),
    ("牙", "inner_mouth"),
    ("舌", "inner_mouth"),
    ("脸颊", "cheeks"),
    ("左脸颊", "left_cheek"),
    ("右脸颊", "right_cheek"),
    ("前额", "forehead"),
];

/// What is not answered, between blanks.
#[rustfmt::skip]
const ABOUT_THE_PERSON: &[&str] = &[
    " who is ", " who s ", " who are ", " who was ", " whose face ", " whose photo ", " his name ", " her name ", " their name ",
    " how old is he ", " how old is she ", " how old are they ", " how old is this person ", " what age ", " what race ", " which race ", " ethnicity ", " ethnic ", " nationality ", " what gender ", " which gender ",
    " man or a woman ", " man or woman ", " male or female ", " boy or girl ",
    " recognise him ", " recognise her ", " recognise this person ", " recognize him ", " recognize her ", " recognize this person ", " identify him ", " identify her ", " identify this person ", " name of this person ", " name of the person ", " do you know him ", " do you know her ", " this person s name ", " celebrity ", " famous ",
    " where is he from ", " where is she from ", " where are they from ", " where is this person from ", " religion ", " religious ", " sexual orientation ", " is he gay ", " is she gay ",
];

/// The same in Chinese.
const ABOUT_THE_PERSON_ZH: &[&str] =
    &["是谁", "叫什么", "名字", "几岁", "多大年纪", "年龄", "种族", "民族", "国籍", "性别", "男的还是女的", "名人"];

/// What pixels of a face do not show, between blanks.
#[rustfmt::skip]
const OUTSIDE: &[&str] = &[
    " where was ", " where is this ", " where is it ", " where did ", " what place ", " which place ", " which city ", " what city ", " which country ", " what country ",
    " when was ", " when did ", " what day ", " what year ", " which year ", " what time ", " how old is this photo ", " how old is this picture ", " how old is this image ", " how old is the photo ", " how old is the picture ", " how old is the image ",
    " who took ", " who shot ", " which camera ", " what camera ", " which phone ", " what phone ", " which lens ", " what lens ", " weather ",
];
/// The same in Chinese.
const OUTSIDE_ZH: &[&str] = &["在哪", "哪里拍", "什么地方", "什么时候", "哪一年", "哪年", "谁拍", "什么相机", "什么手机", "天气"];
/// Beginnings of words by which a question is about forgery all the same ("Where was it edited?").
#[rustfmt::skip]
const OF_FORGERY: &[&str] = &[
    " forge", " fake", " edit", " manipul", " alter", " change", " retouch", " swap", " generat", " blend", " past", " morph", " blur", " smooth", " tamper", " photoshop", " deepfake", " modif", " sign", " artifact", " artefact",
];
/// The same in Chinese.
const OF_FORGERY_ZH: &[&str] = &["伪造", "修改", "改", "假", "换", "生成", "修图", "痕迹", "模糊", "磨皮"];

/// Ways to ask whether it is a certain person, before the name.
const IS_IT: &[&str] =
    &["is this ", "is that ", "is it ", "is he ", "is she ", "this is ", "that is ", "are you ", "is the person ", "is this person "];
/// What may stand between.
const REALLY: &[&str] = &["really ", "actually ", "the real ", "a photo of ", "a picture of ", "the face of "];
/// Capitalised words that name no person.
#[rustfmt::skip]
const NO_PERSON: &[&str] = &[
    "photo", "photograph", "picture", "image", "portrait", "person", "ok", "real", "fake", "genuine", "authentic", "forged", "edited", "retouched", "deepfake", "deepfaked", "photoshop", "photoshopped",
    "midjourney", "snapchat", "instagram", "gemini", "firefly", "lightroom", "facetune",
];

/// The one part that a question names; `None` if it names none, or several.
pub fn part_named(question: &str) -> Option<&'static Concept> {
    let text = question.to_lowercase();
    let mut names: Vec<(&str, &str)> =
        fict::concepts().flat_map(|c| [(c.en, c.id), (c.zh, c.id)]).chain(EVERYDAY.iter().copied()).collect();
    // The longest first: "left eye" is not "eye".
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let mut taken: Vec<std::ops::Range<usize>> = Vec::new();
    let mut found: Vec<&str> = Vec::new();
    for (name, id) in names {
        for (at, _) in text.match_indices(name) {
            let range = at..at + name.len();
            if stands_alone(&text, &range) && taken.iter().all(|t| t.end <= range.start || range.end <= t.start) {
                taken.push(range);
                found.push(id);
            }
        }
    }
    found.retain(|id| *id != fict::FACE);
    found.sort_unstable();
    found.dedup();
    let [id] = found[..] else { return None };
    fict::concept(id)
}

/// Whether no letter touches a Latin word at either end.
fn stands_alone(text: &str, at: &std::ops::Range<usize>) -> bool {
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    !text[at.clone()].is_ascii() || !(latin(text[..at.start].chars().next_back()) || latin(text[at.end..].chars().next()))
}

/// Refuses a question about the person.
///
/// # Errors
/// [`Error::OffLimits`]
pub fn allowed(question: &str) -> Result<()> {
    let plain = plain(question);
    let kinds = ABOUT_THE_PERSON.iter().any(|p| plain.contains(p)) || ABOUT_THE_PERSON_ZH.iter().any(|p| question.contains(p));
    if kinds || names_a_person(question) {
        return Err(Error::OffLimits("who somebody is, and what kind of person, is not said".into()));
    }
    Ok(())
}

/// Whether a question asks what pixels of a face do not show: where, when, by whom or with what a photo was taken. The model would answer the
/// nearest thing that it knows.
pub fn is_outside(question: &str) -> bool {
    let plain = plain(question);
    let any =
        |english: &[&str], chinese: &[&str]| english.iter().any(|p| plain.contains(p)) || chinese.iter().any(|p| question.contains(p));
    any(OUTSIDE, OUTSIDE_ZH) && !any(OF_FORGERY, OF_FORGERY_ZH)
}

/// Words in small letters, between single blanks.
fn plain(question: &str) -> String {
    let letters: String = question.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    format!(" {} ", letters.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether a word is what a part of the face is called, or the face itself.
fn is_part(word: &str) -> bool {
    fict::concepts().any(|c| c.en.eq_ignore_ascii_case(word)) || EVERYDAY.iter().any(|(name, _)| name.eq_ignore_ascii_case(word))
}

/// Whether it is asked if this is a certain person: a word with a capital letter, where the name would stand. A word in capitals, or with another one
/// inside ("AI", "FaceApp"), is no person's; nor is one in a question that is all capitals or begins every word with one.
fn names_a_person(question: &str) -> bool {
    // ASCII alone: other letters may change their length, and places in the two must agree.
    let lower = question.to_ascii_lowercase();
    IS_IT.iter().any(|way| {
        lower.match_indices(way).any(|(at, _)| {
            let stands = lower[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
            let mut from = at + way.len();
            while let Some(word) = REALLY.iter().find(|w| lower[from..].starts_with(*w)) {
                from += word.len();
            }
            let titled = |w: &str| w.chars().next().is_some_and(char::is_uppercase);
            let asked_in_small = !titled(question[at..].split(' ').nth(1).unwrap_or_default());
            let name = question[from..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let one_capital = name.chars().count() > 1 && titled(name) && !name.chars().skip(1).any(char::is_uppercase);
            stands && asked_in_small && one_capital && !NO_PERSON.contains(&name.to_lowercase().as_str()) && !is_part(name)
        })
    })
}

/// The words that the model is asked in; `region` is the English name of what the question is about, see [`Task::question`].
pub fn wording(question: &str, task: Task, region: Option<&str>) -> String {
    // A blank one is left for the prompt to refuse.
    let english = question.trim().is_empty() || question.chars().any(|c| c.is_ascii_alphabetic());
    if english { question.into() } else { task.question(region) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(question: &str) -> Option<&'static str> {
        part_named(question).map(|c| c.id)
    }

    #[test]
    fn everyday_words_name_existing_parts() {
        assert!(EVERYDAY.iter().all(|(_, id)| fict::concepts().any(|c| c.id == *id)));
    }

    #[test]
    fn the_longest_name_counts_and_only_one_part_may_be_named() {
        for (question, id) in [
            ("What about the nose?", Some("nose")),
            ("Is the Left Eye real?", Some("left_eye")),
            ("are her eyes ok", Some("eyes")),
            ("Why do the teeth look odd?", Some("inner_mouth")),
            ("Is the nose tip blurred?", Some("nose_tip")),
            ("鼻子是真的吗？", Some("nose")),
            ("左眼被改过吗", Some("left_eye")),
            ("Is this face forged?", None),
            ("Compare the nose with the mouth.", None),
            ("Does anybody know?", None),
            ("What about the eyeliner?", None),
            ("", None),
        ] {
            assert_eq!(named(question), id, "{question}");
        }
    }

    #[test]
    fn nobody_is_told_who_somebody_is() {
        for question in [
            "Who is this?",
            "who's that man?",
            "What is her name?",
            "How old is he?",
            "Is it a man or a woman?",
            "这是谁？",
            "她几岁",
            "Is this Ada Lovelace?",
            "is he really Turing",
            "So, is this a photo of Grace Hopper?",
            "This is Noether, right?",
            "Do you recognise her?",
            "İ is this Émile?",
            "Is she religious?",
        ] {
            assert_eq!(allowed(question).unwrap_err().code(), "request.off_limits", "{question}");
        }
        for question in [
            "What about the nose?",
            "Who made this?",
            "Is the person's mouth real?",
            "How old is this picture?",
            "  ",
            "Is this AI?",
            "Is this Photoshop?",
            "Is this FaceApp work?",
            "Is it Fake?",
            "Is this Photo edited?",
            "Is this Face real?",
            "Is this Nose hers?",
            "IS THIS REAL?",
            "Is This Face Real?",
            "Is it real? Nose looks odd.",
            "Which parts can you identify?",
        ] {
            assert!(allowed(question).is_ok(), "{question}");
            assert_eq!(wording(question, Task::Age, None), question);
        }
    }

    #[test]
    fn what_a_face_does_not_show_is_told_from_what_it_may() {
        for question in [
            "Where was this taken?",
            "When was this photo made?",
            "Who took it?",
            "Which camera is it?",
            "How old is this photo?",
            "这张照片在哪里拍的？",
        ] {
            assert!(is_outside(question), "{question}");
        }
        for question in [
            "Where was this edited?",
            "When was it faked?",
            "Where are the signs?",
            "Is this AI?",
            "Why?",
            "哪里被改过？",
            "在哪里修改过",
            "",
        ] {
            assert!(!is_outside(question), "{question}");
        }
    }

    #[test]
    fn a_question_in_another_script_is_asked_in_the_tasks_words() {
        assert_eq!(wording("鼻子是真的吗？", Task::Toe, Some("nose")), Task::Toe.question(Some("nose")));
        assert_eq!(wording("???", Task::Det, None), Task::Det.question(None));
    }
}

//! Figures of all images as JSON. What was not asked for is `null`.

use super::Args;
use super::judge::{Answered, Outcome, Place};
use super::steady::Steady;
use crate::analyze::report::Band;
use crate::native::metrics::{self, coco, mean, reliability, text};
use crate::text::{Family, Task};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The report of `facext eval --json`.
pub fn summary(all: &[Outcome], weights_sha256: &str, args: &Args) -> Value {
    let answers: Vec<&Answered> = all.iter().flat_map(|o| &o.answers).collect();
    let of = |task: Task, place: Place| answers.iter().copied().filter(|a| a.task == task && a.place == place).collect::<Vec<_>>();
    let mut age = grounded(&of(Task::Age, Place::Image), true);
    for (name, place) in [("region", Place::Region), ("box", Place::Box)] {
        age.insert(name.into(), grounded(&of(Task::Age, place), true).into());
    }
    let loc = |place: Place| Value::from(grounded(&of(Task::Loc, place), false));
    let on_nothing: Vec<&Answered> = answers.iter().copied().filter(|a| a.place == Place::Box && !a.found).collect();
    let jpeg: Vec<(&Outcome, &Steady)> = all.iter().filter_map(|o| Some((o, o.jpeg.as_ref()?))).collect();
    json!({
        "n_images": all.len(),
        "split": args.split,
        "seed": args.seed,
        "difficulty": [0.0, args.difficulty],
        "recipes": args.recipes,
        "without_mask_rule": args.without_mask_rule,
        "without_states": args.without_states,
        "weights_sha256": weights_sha256,
        "det": det(all, args),
        "cls": { "macro_f1": macro_f1(all), "classes": classes(all) },
        "loc": { "image": loc(Place::Image), "region": loc(Place::Region), "box": loc(Place::Box) },
        "age": age,
        "toe": words(&of(Task::Toe, Place::Image)),
        "meteor_modules": "exact, stem",
        "wordings": args.wordings,
        "box_on_nothing": metrics::rate(&on_nothing, |a| !a.claims && a.overlap.predicted() == 0),
        "n_box_on_nothing": on_nothing.len(),
        "band_flip_jpeg75": metrics::rate(&jpeg, |(_, again)| again.shown[0] != again.shown[1]),
        "band_flip_jpeg75_first": metrics::rate(&jpeg, |(o, again)| o.band != again.band),
        "score_shift_jpeg75": mean(jpeg.iter().map(|(o, again)| f64::from((o.score - again.score).abs()))),
        "shown": shown(&jpeg),
        "n_jpeg75": jpeg.len(),
        "answers_parse": metrics::rate(&answers, |a| a.parses),
        "n_answers": answers.len(),
    })
}

/// What one image scored, for plots and thresholds of one's own.
pub fn scores(o: &Outcome) -> Value {
    let family = |index: usize| Family::ALL.get(index).map_or("none", |f| f.id());
    let mut all = json!({ "image": o.index, "forged": o.forged, "recipe": o.recipe, "family": family(o.family), "guessed": family(o.guessed),
        "score": o.score, "band": o.band });
    if let Some(again) = &o.jpeg {
        let [tried, copy] = &again.tried;
        all["shown"] = json!(again.shown[0]);
        all["tried"] = json!(tried);
        all["jpeg75"] = json!({ "score": again.score, "band": again.band, "shown": again.shown[1], "tried": copy });
    }
    all
}

/// Bands as the product shows them after its own savings, of the images that were judged so.
fn shown(all: &[(&Outcome, &Steady)]) -> Value {
    let share = |of: &dyn Fn(Band) -> bool, among: &dyn Fn(&Outcome) -> bool| {
        let group: Vec<Band> = all.iter().filter(|(o, _)| among(o)).map(|(_, s)| s.shown[0]).collect();
        metrics::rate(&group, |b| of(*b))
    };
    json!({
        "false_alarm": share(&|b| b >= Band::Signs, &|o| !o.forged),
        "flagged_forged": share(&|b| b >= Band::Signs, &|o| o.forged),
        "inconclusive": share(&|b| b == Band::Inconclusive, &|_| true),
        "no_sign_untouched": share(&|b| b == Band::NoSign, &|o| !o.forged),
        "no_sign_forged": share(&|b| b == Band::NoSign, &|o| o.forged),
        "n": all.len(),
    })
}

/// Scores and bands.
fn det(all: &[Outcome], args: &Args) -> Value {
    let scores: Vec<(f32, bool)> = all.iter().map(|o| (o.score, o.forged)).collect();
    let share = |of: &dyn Fn(&Outcome) -> bool, among: &dyn Fn(&Outcome) -> bool| {
        let group: Vec<&Outcome> = all.iter().filter(|o| among(o)).collect();
        metrics::rate(&group, |o| of(o))
    };
    let flagged = |o: &Outcome| o.band >= Band::Signs;
    // Forgeries of a group against all untouched images.
    let auc = |among: &dyn Fn(&Outcome) -> bool| {
        let group: Vec<(f32, bool)> = all.iter().filter(|o| !o.forged || among(o)).map(|o| (o.score, o.forged)).collect();
        metrics::roc_auc(&group)
    };
    let kept = args.unseen();
    let unseen = |o: &Outcome| kept.contains(&o.recipe);
    let by = |key: &dyn Fn(&Outcome) -> &'static str| {
        let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
        all.iter().filter(|o| o.forged).for_each(|o| *groups.entry(key(o)).or_default() += 1);
        let figures = groups.into_iter().map(|(name, n)| {
            let among = |o: &Outcome| o.forged && key(o) == name;
            let located =
                all.iter().filter(|o| among(o)).flat_map(|o| &o.answers).filter(|a| a.task == Task::Loc && a.place == Place::Image);
            let located = mean(located.map(|a| a.overlap.miou_sym()));
            (name.to_string(), json!({ "auc": auc(&among), "flagged": share(&flagged, &among), "loc_miou_sym": located, "n": n }))
        });
        Value::from(figures.collect::<Map<String, Value>>())
    };
    let reliability = reliability::table(&scores, reliability::BINS);
    json!({
        "auc": metrics::roc_auc(&scores),
        "auc_seen": if kept.is_empty() { None } else { auc(&|o| !unseen(o)) },
        "auc_unseen": if kept.is_empty() { None } else { auc(&unseen) },
        "unseen": kept,
        "eer": metrics::eer(&scores),
        "ece": reliability::ece(&reliability),
        "reliability": reliability,
        "false_alarm": share(&flagged, &|o| !o.forged),
        "flagged_forged": share(&flagged, &|o| o.forged),
        "inconclusive": share(&|o| o.band == Band::Inconclusive, &|_| true),
        "no_sign_untouched": share(&|o| o.band == Band::NoSign, &|o| !o.forged),
        "no_sign_forged": share(&|o| o.band == Band::NoSign, &|o| o.forged),
        "per_recipe": by(&|o| o.recipe),
        "per_family": by(&|o| Family::ALL.get(o.family).map_or("none", |f| f.id())),
        "per_degradation": per_degradation(all),
    })
}

/// Images by what was done to them after the forgery; an image with two steps counts under both.
fn per_degradation(all: &[Outcome]) -> Value {
    let mut groups: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for o in all {
        o.degraded.iter().for_each(|step| groups.entry(step).or_default().push(o));
        if o.degraded.is_empty() {
            groups.entry("none").or_default().push(o);
        }
    }
    let figures = groups.into_iter().map(|(step, group)| {
        let scores: Vec<(f32, bool)> = group.iter().map(|o| (o.score, o.forged)).collect();
        let clean: Vec<&Outcome> = group.iter().copied().filter(|o| !o.forged).collect();
        let alarm = metrics::rate(&clean, |o| o.band >= Band::Signs);
        (step.to_string(), json!({ "auc": metrics::roc_auc(&scores), "false_alarm": alarm, "n": group.len() }))
    });
    figures.collect::<Map<String, Value>>().into()
}

/// Answers with masks. Mask means are over questions that have something to be found; AP50 and recall are over all.
fn grounded(answers: &[&Answered], texts: bool) -> Map<String, Value> {
    let found = |found: bool| answers.iter().copied().filter(move |a| a.found == found);
    let with_masks = |f: bool| mean(found(f).map(|a| share(a.overlap.predicted() > 0)));
    let truth: usize = answers.iter().map(|a| a.overlap.truth()).sum();
    let figures = json!({
        "miou": mean(found(true).map(|a| a.overlap.miou())),
        "miou_sym": mean(found(true).map(|a| a.overlap.miou_sym())),
        "ap50": coco::ap50(answers.iter().map(|a| &a.overlap)),
        "recall": (truth > 0).then(|| answers.iter().map(|a| a.recalled).sum::<usize>() as f64 / truth as f64),
        "answers_with_masks_forged": with_masks(true),
        "answers_with_masks_untouched": with_masks(false),
        "claims_right": mean(answers.iter().map(|a| share(a.claims == a.found))),
        "measured_forged": mean(found(true).flat_map(|a| &a.measured).map(|m| share(*m))),
        "measured_untouched": mean(found(false).flat_map(|a| &a.measured).map(|m| share(*m))),
        "consistency": mean(answers.iter().flat_map(|a| &a.consistent).map(|c| share(*c))),
        "contradiction": contradiction(answers),
        "n": answers.len(),
    });
    let mut figures = if let Value::Object(map) = figures { map } else { Map::new() };
    if texts {
        figures.extend(captions(answers));
    }
    figures
}

/// Answers in words only.
fn words(answers: &[&Answered]) -> Map<String, Value> {
    let mut figures = captions(answers);
    figures.insert("claims_right".into(), json!(mean(answers.iter().map(|a| share(a.claims == a.found)))));
    figures.insert("contradiction".into(), json!(contradiction(answers)));
    figures.insert("n".into(), answers.len().into());
    figures
}

fn contradiction(answers: &[&Answered]) -> Option<f64> {
    mean(answers.iter().filter_map(|a| a.contradicts).map(share))
}

/// Caption figures against the annotator's words.
fn captions(answers: &[&Answered]) -> Map<String, Value> {
    let of = |words: &dyn Fn(&Answered) -> &text::Pair| text::figures(&answers.iter().map(|a| words(a).clone()).collect::<Vec<_>>());
    let (f, again) = (of(&|a| &a.words), of(&|a| &a.drawn_again));
    let all: [(&str, Option<f64>); 9] = [
        ("cider", f.map(|f| f.cider)),
        ("meteor", f.map(|f| f.meteor_exact_stem)),
        ("rouge_l", f.map(|f| f.rouge_l)),
        ("bleu1", f.map(|f| f.bleu1)),
        ("bleu2", f.map(|f| f.bleu2)),
        ("bleu3", f.map(|f| f.bleu3)),
        ("bleu4", f.map(|f| f.bleu4)),
        ("drawn_again_meteor", again.map(|f| f.meteor_exact_stem)),
        ("drawn_again_cider", again.map(|f| f.cider)),
    ];
    all.into_iter().map(|(name, value)| (name.to_string(), json!(value))).collect()
}

fn share(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// The families that occur.
fn classes(all: &[Outcome]) -> Vec<&'static str> {
    Family::ALL.into_iter().filter(|f| all.iter().any(|o| o.family == f.index())).map(Family::id).collect()
}

/// Mean F1 over the families that occur.
fn macro_f1(all: &[Outcome]) -> Option<f64> {
    let f1 = |c: usize| {
        let count = |f: &dyn Fn(&Outcome) -> bool| all.iter().filter(|o| f(o)).count() as f64;
        let hit = count(&|o| o.family == c && o.guessed == c);
        let sum = count(&|o| o.family == c) + count(&|o| o.guessed == c);
        (count(&|o| o.family == c) > 0.0).then(|| 2.0 * hit / sum)
    };
    mean((0..Family::ALL.len()).filter_map(f1))
}

#[cfg(test)]
mod tests {
    use super::super::judge::{Answered, Outcome, Place};
    use super::*;
    use crate::image::Mask;
    use crate::native::metrics::Overlap;

    fn outcome(index: u64, score: f32, band: Band, recipe: &'static str, family: Family, degraded: &[&str]) -> Outcome {
        let (forged, family) = (recipe != "none", family.index());
        let degraded = degraded.iter().map(|s| (*s).to_string()).collect();
        Outcome { index, score, band, forged, family, guessed: family, recipe, degraded, answers: vec![], jpeg: None }
    }

    fn answered(task: Task, place: Place, said: &[Mask], truth: &[Mask], claims: bool) -> Answered {
        let overlap = Overlap::of(said, truth);
        let words = text::Pair::new(if claims { "There are signs in the chin." } else { "No sign." }, &["There are signs in the chin."]);
        let recalled = overlap.recalled(|_, _| 1.0);
        Answered {
            task,
            place,
            text: String::new(),
            found: !truth.is_empty(),
            parses: true,
            overlap,
            recalled,
            claims,
            contradicts: (place == Place::Image).then_some(!claims),
            consistent: said.iter().map(|_| true).collect(),
            measured: said.iter().map(|_| true).collect(),
            drawn_again: words.clone(),
            words,
            masks: vec![],
        }
    }

    fn four() -> Vec<Outcome> {
        let mask = |bits: [u8; 4]| Mask { width: 4, height: 1, data: bits.to_vec() };
        let (left, half) = (mask([1, 1, 0, 0]), mask([1, 0, 0, 0]));
        let mut all = vec![
            outcome(0, 0.9, Band::Signs, "part_blur", Family::AttributeEdit, &["jpeg"]),
            outcome(1, 0.2, Band::NoSign, "local_warp", Family::Reenactment, &["blur", "jpeg"]),
            outcome(2, 0.4, Band::Inconclusive, "none", Family::Real, &[]),
            outcome(3, 0.1, Band::NoSign, "none", Family::Real, &["jpeg"]),
        ];
        all[0].answers = vec![
            answered(Task::Loc, Place::Image, std::slice::from_ref(&left), std::slice::from_ref(&left), true),
            answered(Task::Age, Place::Image, std::slice::from_ref(&half), std::slice::from_ref(&left), true),
            answered(Task::Loc, Place::Box, &[], &[], false),
        ];
        all[1].answers = vec![answered(Task::Loc, Place::Image, &[], std::slice::from_ref(&left), false)];
        all[2].answers = vec![answered(Task::Loc, Place::Box, &[left], &[], true)];
        all[2].jpeg = Some(Steady { score: 0.5, band: Band::Inconclusive, shown: [Band::Inconclusive; 2], tried: [vec![0.5], vec![0.4]] });
        all[3].jpeg =
            Some(Steady { score: 0.4, band: Band::Inconclusive, shown: [Band::Signs, Band::Inconclusive], tried: [vec![], vec![]] });
        all
    }

    fn near(value: &Value, expected: f64) {
        assert!(value.as_f64().is_some_and(|v| (v - expected).abs() < 1e-6), "{value} is not {expected}");
    }

    #[test]
    fn figures_by_hand() {
        let args = Args { unseen: vec!["local_warp"], ..Args::default() };
        let s = summary(&four(), "x", &args);
        // Forged .9 and .2 against .4 and .1: three of four pairs.
        near(&s["det"]["auc"], 0.75);
        near(&s["det"]["auc_seen"], 1.0);
        near(&s["det"]["auc_unseen"], 0.5);
        near(&s["det"]["false_alarm"], 0.0);
        near(&s["det"]["flagged_forged"], 0.5);
        near(&s["det"]["no_sign_untouched"], 0.5);
        near(&s["det"]["no_sign_forged"], 0.5);
        near(&s["shown"]["no_sign_untouched"], 0.0);
        near(&s["det"]["per_recipe"]["local_warp"]["auc"], 0.5);
        near(&s["det"]["per_recipe"]["part_blur"]["loc_miou_sym"], 1.0);
        assert_eq!((&s["det"]["per_degradation"]["jpeg"]["n"], &s["det"]["per_degradation"]["none"]["n"]), (&json!(3), &json!(1)));
        assert!(s["det"]["per_degradation"]["none"]["auc"].is_null(), "one class alone has no AUC");
        near(&s["cls"]["macro_f1"], 1.0);
        assert_eq!(s["cls"]["classes"], json!(["none", "reenactment", "attribute_edit"]));
        near(&s["loc"]["image"]["miou"], 0.5);
        near(&s["loc"]["image"]["recall"], 0.5);
        near(&s["loc"]["image"]["measured_forged"], 1.0);
        near(&s["loc"]["image"]["contradiction"], 0.5);
        near(&s["age"]["miou_sym"], 0.5);
        near(&s["age"]["ap50"], 1.0);
        near(&s["age"]["rouge_l"], 1.0);
        assert_eq!(s["age"]["drawn_again_meteor"], s["age"]["meteor"]);
        near(&s["box_on_nothing"], 0.5);
        near(&s["band_flip_jpeg75"], 0.5);
        near(&s["band_flip_jpeg75_first"], 0.5);
        near(&s["score_shift_jpeg75"], 0.2);
        near(&s["shown"]["false_alarm"], 0.5);
        near(&s["shown"]["inconclusive"], 0.5);
        near(&s["answers_parse"], 1.0);
    }

    #[test]
    fn what_was_not_asked_for_is_null() {
        let s = summary(&four(), "x", &Args::default());
        for path in [
            "/det/auc_seen",
            "/det/auc_unseen",
            "/toe/meteor",
            "/toe/cider",
            "/toe/rouge_l",
            "/age/region/miou",
            "/age/box/ap50",
            "/loc/region/miou_sym",
        ] {
            assert!(s.pointer(path).is_some_and(Value::is_null), "{path}: {:?}", s.pointer(path));
        }
        let empty = summary(&[], "x", &Args::default());
        for path in [
            "/det/auc",
            "/det/ece",
            "/det/eer",
            "/det/false_alarm",
            "/cls/macro_f1",
            "/loc/image/miou",
            "/age/consistency",
            "/box_on_nothing",
            "/band_flip_jpeg75",
        ] {
            assert!(empty.pointer(path).is_some_and(Value::is_null), "{path}: {:?}", empty.pointer(path));
        }
    }

    #[test]
    fn the_page_shows_the_figures_and_needs_no_other_file() {
        let all = four();
        let page = super::super::html::page(&summary(&all, "x", &Args::default()), &all);
        assert!(page.contains("0.750") && page.contains("part_blur") && page.contains("class=\"line\""), "{page}");
        for foreign in ["http:", "https:", "src=", "href=", "<script", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
}

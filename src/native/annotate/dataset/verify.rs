//! The checker: every sentence of a data set looked at again, from the stored picture, mesh and mask alone.
//!
//! | basis | confirmed when |
//! |---|---|
//! | label | "found" and changed pixels in scope, or "not found" and as good as none there |
//! | family | the sentence is the one of the record's family |
//! | masks | each mask lies in the changed pixels and in its concept, and is not empty |
//! | measured | each measurement comes out as recorded (within 2 %), and stands out or is usual as said; what stands out does not stand out in the untouched twin |
//! | nothing stands out | no measurement of the concepts does, or it does in the twin, too |
//! | outside | always: nothing is claimed |

use std::path::Path;

use super::record::{Record, Said};
use super::shard;
use crate::error::{Error, Result};
use crate::fict;
use crate::image::Mask;
use crate::measure::{Finding, Gauge, Measure};
use crate::native::annotate::talk::{Basis, Claim};
use crate::native::annotate::{text, wording};
use crate::native::many::bar;
use crate::text::Family;

/// Counts by basis: (confirmed, refuted).
#[derive(Debug, Default)]
pub struct Verdict {
    pub samples: u64,
    pub confirmed: u64,
    pub refuted: u64,
    /// The first refutations, in words.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Part of the sentences that were confirmed.
    pub fn agreement(&self) -> f64 {
        self.confirmed as f64 / (self.confirmed + self.refuted).max(1) as f64
    }
}

/// Checks a data set.
///
/// # Errors
/// `io.failed` for damaged shards.
pub fn verify(dir: &Path) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let shards = shard::all(dir)?;
    let bar = bar(shards.len() as u64, "checking shards");
    for path in shards {
        let mut before: Option<(u64, Twin)> = None;
        shard::read(&path, |(record, png)| {
            let twin = before.take().filter(|b| record.twin && b.0 + 1 == record.index);
            check(&record, &png, twin.as_ref().map(|t| &t.1), &mut verdict)?;
            before = Some((record.index, Twin { mesh: record.mesh, png }));
            Ok(true)
        })?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(verdict)
}

/// The untouched twin of a sample as it is stored.
#[derive(Debug)]
pub struct Twin {
    pub png: Vec<u8>,
    pub mesh: Vec<[f32; 2]>,
}

/// Checks one sample; `twin` is its untouched twin, if that is at hand.
///
/// # Errors
/// `io.failed` if the picture or a mask cannot be read.
pub fn check(record: &Record, png: &[u8], twin: Option<&Twin>, verdict: &mut Verdict) -> Result<()> {
    let rgb = crate::image::decode(png).map_err(|e| Error::Io(format!("sample {}: {e}", record.index)))?.rgb;
    let flat = |mesh: &[[f32; 2]]| -> Vec<[f32; 3]> { mesh.iter().map(|p| [p[0], p[1], 0.0]).collect() };
    let mesh = flat(&record.mesh);
    let labels = fict::part_labels(&mesh, rgb.width, rgb.height);
    let changed = record.artifact.decode()?;
    if changed.width != rgb.width || changed.height != rgb.height {
        return Err(Error::Io(format!("sample {}: mask and picture differ in size", record.index)));
    }
    let gauge = Gauge::new(&rgb, &labels, &mesh, Some(&changed));
    let untouched =
        twin.map(|t| crate::image::decode(&t.png)).transpose().map_err(|e| Error::Io(format!("twin of {}: {e}", record.index)))?;
    let twin = untouched.zip(twin).map(|(p, t)| Gauge::new(&p.rgb, &labels, &mesh, Some(&changed)).shaped_as(flat(&t.mesh)));
    let mut scene = Scene { gauge: &gauge, twin: twin.as_ref(), labels: &labels, changed: &changed, seen: Vec::new() };
    verdict.samples += 1;
    for turn in &record.turns {
        for s in &turn.sentences {
            let why = match &s.basis {
                Basis::Label => scene.label(turn),
                Basis::Family => family(record, &s.text),
                Basis::Masks => None,
                Basis::Measured(claims) => claims.iter().find_map(|c| scene.claim(c)),
                Basis::Quiet(ids) => ids.iter().find_map(|id| scene.quiet(id)),
                Basis::Outside => None,
            };
            // Masks are checked with the first sentence that speaks of them, whatever it rests on.
            let why = why.or_else(|| s.text.contains("[SEG]").then(|| scene.masks(turn)).flatten());
            match why {
                None => verdict.confirmed += 1,
                Some(why) => {
                    verdict.refuted += 1;
                    if verdict.examples.len() < 10 {
                        verdict.examples.push(format!("sample {}: {:?}: {why}", record.index, s.text));
                    }
                }
            }
        }
    }
    Ok(())
}

struct Scene<'a> {
    gauge: &'a Gauge<'a>,
    twin: Option<&'a Gauge<'a>>,
    labels: &'a [u8],
    changed: &'a Mask,
    seen: Vec<(&'static str, bool, Vec<Finding>)>,
}

impl Scene<'_> {
    fn findings(&mut self, id: &str, changed: bool) -> Option<&[Finding]> {
        let id = fict::concept(id)?.id;
        let at = match self.seen.iter().position(|s| s.0 == id && s.1 == changed) {
            Some(at) => at,
            None => {
                self.seen.push((id, changed, self.gauge.findings(id, changed)));
                self.seen.len() - 1
            }
        };
        Some(&self.seen[at].2)
    }

    /// Whether the label's sentence is wrong, and why.
    fn label(&self, turn: &Said) -> Option<String> {
        let (mut both, mut own, total) = (0usize, 0usize, self.changed.area());
        let set = turn.region.as_deref().map(|id| fict::part_set(id).unwrap_or(0));
        let side = self.changed.width;
        for (i, (&l, &c)) in self.labels.iter().zip(&self.changed.data).enumerate() {
            let (x, y) = ((i % side) as f32, (i / side) as f32);
            let inside = match (set, turn.bbox) {
                (Some(set), _) => l < 128 && set >> l & 1 == 1,
                (None, Some([bx, by, w, h])) => x >= bx && y >= by && x < bx + w && y < by + h,
                (None, None) => true,
            };
            own += usize::from(inside);
            both += usize::from(inside && c == 1);
        }
        if turn.found {
            (both == 0).then(|| "no pixel in scope was changed".into())
        } else {
            let free = (both as f32) <= 0.05 * own.max(1) as f32 && (both as f32) <= 0.05 * total.max(1) as f32;
            (both > 0 && !free).then(|| format!("{both} of {own} pixels in scope were changed"))
        }
    }

    fn claim(&mut self, c: &Claim) -> Option<String> {
        let found = self.findings(&c.concept, c.changed)?.iter().find(|f| f.measure == c.measure).copied();
        let Some(f) = found else { return Some(format!("{:?} of {} cannot be measured", c.measure, c.concept)) };
        if (f.value - c.value).abs() > 0.02 * (1.0 + c.value.abs()) {
            return Some(format!("{:?} of {} measures {:.3}, not {:.3}", c.measure, c.concept, f.value, c.value));
        }
        if let (true, Some(before)) = (c.stands_out, self.untouched(f.concept, c.measure))
            && (before.stands_out() || c.untouched.is_none_or(|v| (v - before.value).abs() > 0.02 * (1.0 + v.abs())))
        {
            return Some(format!("{:?} of {} measures {:.3} in the untouched twin", c.measure, c.concept, before.value));
        }
        let holds = if c.stands_out { f.stands_out() } else { f.is_usual() };
        (!holds).then(|| format!("{:?} of {} is {:.1} spreads from the norm", c.measure, c.concept, f.z()))
    }

    /// The same measurement of the twin.
    fn untouched(&self, concept: &'static str, measure: Measure) -> Option<Finding> {
        self.twin?.findings(concept, true).into_iter().find(|f| f.measure == measure)
    }

    fn quiet(&mut self, id: &str) -> Option<String> {
        let loud: Vec<Finding> = self.findings(id, true)?.iter().copied().filter(Finding::stands_out).collect();
        // Without the twin nobody can tell whether the untouched picture shows it, too.
        self.twin?;
        let loud = loud.into_iter().find(|f| !self.untouched(f.concept, f.measure).is_some_and(|b| b.stands_out()))?;
        Some(format!("{:?} of {id} stands out", loud.measure))
    }

    fn masks(&self, turn: &Said) -> Option<String> {
        if turn.answer.matches("[SEG]").count() != turn.masks.len() {
            return Some("phrases and masks differ in number".into());
        }
        turn.masks.iter().find_map(|m| {
            let mask = m.rle.decode().ok()?;
            let set = text::set_of(&m.concept).unwrap_or(0);
            if mask.area() == 0 {
                return Some(format!("the mask of {} is empty", m.concept));
            }
            let strays = mask.data.iter().enumerate().filter(|&(i, &v)| {
                let l = self.labels.get(i).copied().unwrap_or(255);
                v == 1 && (self.changed.data.get(i) != Some(&1) || !text::holds(set, l))
            });
            let n = strays.count();
            (n > 0).then(|| format!("{n} pixels of the mask of {} lie outside of the change or the part", m.concept))
        })
    }
}

fn family(record: &Record, text: &str) -> Option<String> {
    let family =
        Family::ALL.into_iter().find(|f| serde_json::to_value(f).ok().as_ref().and_then(|v| v.as_str()) == Some(&record.family))?;
    let right = [wording::family_sentence(family), wording::family_hint(family)].contains(&text);
    (!right || !record.forged).then(|| format!("the family is {}", record.family))
}

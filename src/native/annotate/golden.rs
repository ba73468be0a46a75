//! Proof that samples of the first recipe set stay what they were: hashes made before the annotator grew.
//!
//! Training resumes and figures of published weights rest on `Sampler::sample` being the same function for ever. Pixels and
//! words are hashed apart, so that a failure tells which of them moved.

use rand::{SeedableRng, rngs::SmallRng};

use super::drawn::drawn_sampler;
use super::sampler::Sample;
use super::text;
use crate::image::sha256_hex;

/// Everything of a sample that is not words.
fn pixels(s: &Sample, out: &mut Vec<u8>) {
    out.extend_from_slice(&s.image.data);
    out.extend_from_slice(&s.artifact.data);
    out.extend(s.mesh.iter().flatten().flat_map(|v| v.to_bits().to_le_bytes()));
    out.extend_from_slice(
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {} {} {:?}",
            s.family, s.recipe, s.difficulty, s.parts, s.params, s.degradation, s.person, s.file, s.donor
        )
        .as_bytes(),
    );
}

#[test]
fn samples_are_what_they_were() {
    let sampler = drawn_sampler(7);
    let (mut a, mut b) = (Vec::new(), String::new());
    let mut rng = SmallRng::seed_from_u64(1);
    for i in 0..24 {
        for s in [sampler.sample(i).unwrap(), sampler.paired(i).unwrap()] {
            pixels(&s, &mut a);
            b += &format!("{:?}\n", s.concepts);
            for _ in 0..4 {
                let qa = text::draw(&s, &mut rng);
                b += &format!("{:?} {:?} {} {}\n", qa.task, qa.scope, qa.question, qa.answer.text);
            }
        }
    }
    assert_eq!(sha256_hex(&a), "9cc4c8ac105455c55661377bac3e7a1c02606ba5011da2d1b2f12c20fd2432e9", "pixels");
    assert_eq!(sha256_hex(b.as_bytes()), "928dcc7280747ad21d4afd9b21a2749c60d29518f429f13a230106f7daabd5a0", "words");
}

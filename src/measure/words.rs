//! What a measurement that stands out is called, by direction: several forms, each for one part and for several.

use super::Measure;

/// (of one, of several); the subject stands before it.
pub type Form = (&'static str, &'static str);

/// Forms for a measurement above (`high`) or below its norm. Empty where a direction means nothing.
pub fn finding(measure: Measure, high: bool) -> &'static [Form] {
    match (measure, high) {
        (Measure::Sharpness, false) => &[
            ("lacks fine detail next to the skin around it", "lack fine detail next to the skin around them"),
            ("is softer than its surroundings", "are softer than their surroundings"),
            ("looks blurred beside what lies around it", "look blurred beside what lies around them"),
        ],
        (Measure::Sharpness, true) => &[
            ("is sharper than its surroundings", "are sharper than their surroundings"),
            ("shows more fine detail than the skin around it", "show more fine detail than the skin around them"),
        ],
        (Measure::SharpnessMirror, false) => &[
            ("is softer than its counterpart on the other side", "are softer than their counterparts on the other side"),
            ("has less detail than the same part on the other side", "have less detail than the same parts on the other side"),
        ],
        (Measure::SharpnessMirror, true) => &[
            ("is sharper than its counterpart on the other side", "are sharper than their counterparts on the other side"),
            ("has more detail than the same part on the other side", "have more detail than the same parts on the other side"),
        ],
        (Measure::Grain, false) => &[
            ("carries less grain than its surroundings", "carry less grain than their surroundings"),
            ("is unusually smooth", "are unusually smooth"),
        ],
        (Measure::Grain, true) => &[
            ("carries more grain than its surroundings", "carry more grain than their surroundings"),
            ("is unusually rough", "are unusually rough"),
        ],
        (Measure::GrainMirror, false) => &[
            ("carries less grain than the same part on the other side", "carry less grain than the same parts on the other side"),
            ("is smoother than its counterpart", "are smoother than their counterparts"),
        ],
        (Measure::GrainMirror, true) => &[
            ("carries more grain than the same part on the other side", "carry more grain than the same parts on the other side"),
            ("is rougher than its counterpart", "are rougher than their counterparts"),
        ],
        (Measure::Seam, true) => &[
            ("has a border where the brightness jumps", "have borders where the brightness jumps"),
            ("shows a visible seam", "show a visible seam"),
            ("is set off from its surroundings by a sharp edge", "are set off from their surroundings by a sharp edge"),
        ],
        (Measure::Red, true) => &[
            ("is redder than usual against the skin around it", "are redder than usual against the skin around them"),
            ("has a red cast", "have a red cast"),
        ],
        (Measure::Red, false) => &[
            ("is less red than usual against the skin around it", "are less red than usual against the skin around them"),
            ("has a green cast", "have a green cast"),
        ],
        (Measure::Blue, true) => &[
            ("is bluer than usual against the skin around it", "are bluer than usual against the skin around them"),
            ("has a blue cast", "have a blue cast"),
        ],
        (Measure::Blue, false) => &[
            ("is yellower than usual against the skin around it", "are yellower than usual against the skin around them"),
            ("has a yellow cast", "have a yellow cast"),
        ],
        (Measure::ColourMirror, true) => &[
            ("differs in colour from its counterpart", "differ in colour from their counterparts"),
            ("has another colour than the same part on the other side", "have another colour than the same parts on the other side"),
        ],
        (Measure::Grid, true) => &[
            ("shows compression blocks that do not line up with the rest", "show compression blocks that do not line up with the rest"),
            ("was compressed on another grid than the rest", "were compressed on another grid than the rest"),
        ],
        (Measure::Asymmetry, true) => &[
            ("is not placed like its counterpart", "are not placed like their counterparts"),
            ("sits differently from the same part on the other side", "sit differently from the same parts on the other side"),
        ],
        (Measure::Proportion, true) => &[
            ("is unusually large for this face", "are unusually large for this face"),
            ("is larger than the rest of the face suggests", "are larger than the rest of the face suggests"),
        ],
        (Measure::Proportion, false) => &[
            ("is unusually small for this face", "are unusually small for this face"),
            ("is smaller than the rest of the face suggests", "are smaller than the rest of the face suggests"),
        ],
        (Measure::Repetition, true) => &[
            ("repeats texture that is found elsewhere in the face", "repeat texture that is found elsewhere in the face"),
            ("holds a copy of another patch of skin", "hold a copy of another patch of skin"),
        ],
        (Measure::Seam | Measure::ColourMirror | Measure::Grid | Measure::Asymmetry | Measure::Repetition, false) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_direction_that_can_stand_out_has_two_forms_at_least() {
        for m in Measure::ALL {
            assert!(finding(m, true).len() >= 2, "{m:?}");
            assert_eq!(finding(m, false).len() >= 2, !m.one_sided(), "{m:?}");
        }
    }
}

//! METEOR's alignment of two sentences: which word stands for which, by the beam search of the reference program.
//!
//! The reference order of a search is part of the figure, its two oddities too: a match by stem adds nothing to the score of a
//! path (a weight of ½ is cut to a whole number), and the distance of a match is booked on the path that does without it.

use std::cmp::Ordering;

/// Paths that are followed.
const BEAM: usize = 40;

/// One word of the answer that stands for one of the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// 0 exact, 1 by stem.
    pub module: usize,
    pub said: usize,
    pub reference: usize,
}

/// The alignment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Aligned {
    /// In order of the reference.
    pub matches: Vec<Match>,
    /// Runs of matches that are neighbours on both sides.
    pub chunks: usize,
}

/// What the order of paths depends on.
#[derive(Clone, Copy, Default)]
struct State {
    exact: usize,
    chunks: usize,
    distance: usize,
    /// Word of the answer behind the last match, if the chunk is open.
    open: Option<usize>,
}

/// A path: its matches, and which words of the answer are used.
#[derive(Clone)]
struct Path {
    state: State,
    matches: Vec<Option<Match>>,
    used: Vec<bool>,
}

impl State {
    fn order(&self, other: &Self) -> Ordering {
        other.exact.cmp(&self.exact).then(self.chunks.cmp(&other.chunks)).then(self.distance.cmp(&other.distance))
    }

    /// With a match: a chunk ends where it does not go on in the answer.
    fn with(mut self, m: Match) -> Self {
        self.exact += usize::from(m.module == 0);
        self.chunks += usize::from(self.open.is_some_and(|end| end != m.said));
        self.open = Some(m.said + 1);
        self
    }

    /// Without a match at this word of the reference: an open chunk ends.
    fn without(mut self) -> Self {
        self.chunks += usize::from(self.open.take().is_some());
        self
    }
}

/// Aligns an answer with a reference, each given as words and their stems.
pub fn align((said, said_stems): (&[String], &[String]), (reference, stems): (&[String], &[String])) -> Aligned {
    // Of identical sentences only exact matches are needed; the reference avoids errors of its search so.
    let modules = if said == reference { 1 } else { 2 };
    let mut found: Vec<Vec<Match>> = vec![vec![]; reference.len()];
    let mut coverage = (vec![0; said.len()], vec![0; reference.len()]);
    for module in 0..modules {
        for r in 0..reference.len() {
            for s in 0..said.len() {
                let same = said[s] == reference[r];
                if if module == 0 { same } else { !same && said_stems[s] == stems[r] } {
                    found[r].push(Match { module, said: s, reference: r });
                    coverage.0[s] += 1;
                    coverage.1[r] += 1;
                }
            }
        }
    }
    // Words with one possible partner each are settled before the search.
    let settled: Vec<Option<Match>> =
        found.iter().map(|f| f.first().copied().filter(|m| coverage.0[m.said] == 1 && coverage.1[m.reference] == 1)).collect();
    let mut used = vec![false; said.len()];
    settled.iter().flatten().for_each(|m| used[m.said] = true);
    let mut paths = vec![Path { state: State::default(), matches: settled.clone(), used }];
    for (r, options) in found.iter().enumerate() {
        // Where each path can go: (state, path, match). Only those that are followed are written out.
        let mut steps: Vec<(State, usize, Option<Match>)> = Vec::new();
        for (p, path) in paths.iter().enumerate() {
            let mut state = path.state;
            if let Some(m) = settled[r] {
                state = state.with(m);
                state.distance += m.said.abs_diff(r);
                steps.push((state, p, None));
                continue;
            }
            for m in options.iter().filter(|m| !path.used[m.said]) {
                steps.push((state.with(*m), p, Some(*m)));
                state.distance += m.said.abs_diff(r);
            }
            steps.push((state.without(), p, None));
        }
        steps.sort_by(|a, b| a.0.order(&b.0));
        steps.truncate(BEAM);
        let go = |(state, p, m): (State, usize, Option<Match>)| {
            let mut path = Path { state, ..paths[p].clone() };
            if let Some(m) = m {
                path.used[m.said] = true;
                path.matches[r] = Some(m);
            }
            path
        };
        paths = steps.into_iter().map(go).collect();
    }
    paths.iter_mut().for_each(|p| p.state = p.state.without());
    paths.sort_by(|a, b| a.state.order(&b.state));
    let matches: Vec<Match> = paths.into_iter().next().map_or_else(Vec::new, |p| p.matches.into_iter().flatten().collect());
    Aligned { chunks: chunks(&matches), matches }
}

fn chunks(matches: &[Match]) -> usize {
    let breaks = matches.windows(2).filter(|w| w[1].reference != w[0].reference + 1 || w[1].said != w[0].said + 1).count();
    breaks + usize::from(!matches.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned(said: &str, reference: &str) -> (Vec<(usize, usize)>, usize) {
        let words = |t: &str| t.split_whitespace().map(String::from).collect::<Vec<_>>();
        let (a, b) = (words(said), words(reference));
        let stems = |w: &[String]| w.iter().map(|w| super::super::meteor::stem(w)).collect::<Vec<_>>();
        let out = align((&a, &stems(&a)), (&b, &stems(&b)));
        (out.matches.iter().map(|m| (m.said, m.reference)).collect(), out.chunks)
    }

    #[test]
    fn few_chunks_win() {
        assert_eq!(aligned("the nose and the chin", "the chin"), (vec![(3, 0), (4, 1)], 1));
        assert_eq!(aligned("a b c", "a b c"), (vec![(0, 0), (1, 1), (2, 2)], 1));
        assert_eq!(aligned("b a", "a b"), (vec![(1, 0), (0, 1)], 2));
        assert_eq!(aligned("x", "y"), (vec![], 0));
        assert_eq!(aligned("", ""), (vec![], 0));
    }

    #[test]
    fn long_sentences_end_soon() {
        let text = "the ".repeat(600);
        let (matches, chunks) = aligned(&text, &format!("{text} nose"));
        assert_eq!((matches.len(), chunks), (600, 1));
    }

    #[test]
    fn stems_match() {
        assert_eq!(aligned("the eyes look blurred", "the eye looks blurred"), (vec![(0, 0), (1, 1), (2, 2), (3, 3)], 1));
    }
}

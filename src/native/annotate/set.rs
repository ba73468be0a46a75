//! Named sets of recipes. Training and published figures use [`RecipeSet::First`], whose samples never change; the annotator
//! uses [`RecipeSet::All`] or, for training data, [`RecipeSet::Seen`].

use super::recipe::Recipe;

/// Which recipes a sampler draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RecipeSet {
    /// The six recipes of the first annotator, with its mild degradations.
    #[default]
    First,
    /// Every recipe.
    All,
    /// Every recipe that training may see.
    Seen,
    /// The recipes kept from training: their forgeries test what a model makes of the unknown.
    Unseen,
}

impl RecipeSet {
    /// The recipes of the set, in a fixed order (drawing depends on it).
    pub fn recipes(self) -> &'static [Recipe] {
        const SEEN: [Recipe; 19] = keep(false);
        const UNSEEN: [Recipe; 5] = keep(true);
        match self {
            Self::First => {
                &[Recipe::PartSwap, Recipe::SelfBlend, Recipe::PartBlur, Recipe::PartSmooth, Recipe::PartInpaint, Recipe::LocalWarp]
            }
            Self::All => &Recipe::ALL,
            Self::Seen => &SEEN,
            Self::Unseen => &UNSEEN,
        }
    }

    /// Whether it holds nothing that is kept from training.
    pub fn may_train(self) -> bool {
        self.recipes().iter().all(|r| !r.is_unseen())
    }

    /// Whether pictures get the full range of degradations (the first set keeps the mild ones).
    pub fn is_first(self) -> bool {
        self == Self::First
    }
}

const fn keep<const N: usize>(unseen: bool) -> [Recipe; N] {
    let mut out = [Recipe::PartSwap; N];
    let (mut i, mut n) = (0, 0);
    while i < Recipe::ALL.len() {
        let r = Recipe::ALL[i];
        if r.is_unseen() == unseen {
            out[n] = r;
            n += 1;
        }
        i += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_and_unseen_share_nothing_and_make_up_all() {
        assert!(RecipeSet::Seen.recipes().iter().all(|r| !r.is_unseen()));
        assert!(RecipeSet::Unseen.recipes().iter().all(|r| r.is_unseen()));
        assert_eq!(RecipeSet::Seen.recipes().len() + RecipeSet::Unseen.recipes().len(), Recipe::ALL.len());
        let ids: std::collections::HashSet<_> = Recipe::ALL.iter().map(|r| r.id()).collect();
        assert_eq!(ids.len(), Recipe::ALL.len());
    }
}

/** Colours of the marks: Okabe and Ito's, safe for colour-blind eyes. The element's style sheet has the same ones, as `.c0` to `.c6`. */
export const PALETTE = ['#56b4e9', '#e69f00', '#cc79a7', '#009e73', '#f0e442', '#d55e00', '#0072b2'] as const;

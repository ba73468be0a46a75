/**
 * The element's style sheet, adopted by its shadow root (so the page's policy needs no `unsafe-inline`).
 *
 * Colours and spacings are custom properties; light and dark follow the system. Targets are at least 44 px high where touch matters.
 */
import { css } from 'lit';

export const styles = css`
  :host {
    --ink: #1b2230; --soft: #566073; --faint: #7a8496; --line: #d9dee6; --edge: #858fa0; --card: #ffffff; --sunk: #f3f5f8;
    --accent: #1f5f8b; --accent-ink: #ffffff; --accent-wash: #e5eff6; --warn: #a1560a; --warn-wash: #fbf0e1; --bad: #a3312a; --bad-wash: #fbeaea;
    --radius: 12px; --gap: 20px;
    display: block; color: var(--ink); font: 400 1rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif;
    container-type: inline-size;
  }
  @media (prefers-color-scheme: dark) {
    :host {
      --ink: #e6eaf1; --soft: #a6b0c0; --faint: #8791a3; --line: #333c4a; --edge: #6d788b; --card: #1a202a; --sunk: #141922;
      --accent: #7db9e0; --accent-ink: #0c1a26; --accent-wash: #1c3040; --warn: #f0b565; --warn-wash: #32261a; --bad: #f0938c; --bad-wash: #3a2020;
    }
  }
  * { box-sizing: border-box; }
  h2, h3, p, ul, ol, dl, dd, figure, fieldset { margin: 0; padding: 0; border: 0; }
  ul { list-style: none; }
  h2 { font-size: 1.0625rem; font-weight: 650; line-height: 1.3; }
  h3 { font-size: 0.9375rem; font-weight: 650; line-height: 1.35; }
  .soft { color: var(--soft); }
  .small { font-size: 0.875rem; line-height: 1.5; }
  .hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

  .layout { display: grid; gap: var(--gap); grid-template-columns: minmax(0, 1fr); align-items: start; }
  .column { display: grid; gap: var(--gap); min-width: 0; }
  /* On a narrow screen everything is one column in the order of the document: photo, answers, tools, questions. Only what holds nothing
     focusable goes to the end, so the keyboard order stays. */
  @container (max-width: 859px) {
    .layout > .column { display: contents; }
    .layout > .tools-card, .layout > .ask { order: 1; }
    .limits-card, .device-line { order: 2; }
  }
  @container (min-width: 860px) {
    .layout .drop { min-height: 460px; }
    .layout { grid-template-columns: minmax(0, 11fr) minmax(0, 9fr); grid-template-rows: auto auto 1fr; }
    .layout > .photo, .layout > .tools-card, .layout > .ask { grid-column: 1; }
    .layout > .result { grid-column: 2; grid-row: 1 / span 3; }
  }
  @container (min-width: 1500px) {
    .layout { grid-template-columns: minmax(0, 14fr) minmax(0, 9fr); --gap: 28px; }
    .frame { --tall: 1400px; }
  }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: var(--radius); padding: 18px 20px; }
  .stack { display: grid; gap: 12px; }
  .row { display: flex; flex-wrap: wrap; gap: 10px 14px; align-items: center; }
  .head { display: flex; gap: 14px; justify-content: space-between; align-items: center; }
  .push { margin-inline-start: auto; }

  button, select, input { font: inherit; color: inherit; }
  button, .button {
    min-height: 40px; padding: 7px 16px; border-radius: 8px; border: 1px solid var(--line); background: var(--card); cursor: pointer;
    font-weight: 550; font-size: 0.9375rem;
  }
  button:hover { border-color: var(--faint); }
  button.primary { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
  button.primary:hover { filter: brightness(1.08); }
  button.plain { border-color: transparent; background: none; color: var(--accent); padding-inline: 8px; }
  button.plain:hover { background: var(--accent-wash); }
  button[aria-pressed='true'] { background: var(--accent-wash); border-color: var(--accent); }
  button:disabled { opacity: 0.5; cursor: default; }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
  select, input[type='number'] { min-height: 40px; border-radius: 8px; border: 1px solid var(--edge); background: var(--card); padding: 6px 10px; max-width: 100%; }
  input[type='range'] { accent-color: var(--accent); width: 130px; min-height: 40px; }
  input[type='radio'], input[type='checkbox'] { accent-color: var(--accent); width: 18px; height: 18px; margin: 0; }
  progress { width: 100%; height: 10px; border-radius: 5px; border: 0; background: var(--sunk); accent-color: var(--accent); appearance: none; overflow: hidden; display: block; }
  progress::-webkit-progress-bar { background: var(--line); border-radius: 5px; }
  progress::-webkit-progress-value { background: var(--accent); border-radius: 5px; }
  progress::-moz-progress-bar { background: var(--accent); border-radius: 5px; }

  .drop {
    display: grid; justify-items: center; align-content: center; gap: 14px; text-align: center; min-height: 330px; padding: 32px 24px;
    border: 2px dashed var(--line); border-radius: var(--radius); background: var(--card);
  }
  .drop svg { width: 56px; height: 56px; color: var(--faint); }
  :host([dragging]) .drop, :host([dragging]) .frame { border-color: var(--accent); background: var(--accent-wash); }
  .lead { font-size: 1.1875rem; font-weight: 600; line-height: 1.35; text-wrap: balance; }

  .stage { position: relative; display: grid; place-items: center; background: var(--sunk); border-radius: 8px; overflow: hidden; min-height: 180px; }
  .frame { position: relative; max-width: 100%; line-height: 0; transform-origin: 0 0; }
  .frame.smooth { transition: transform 0.2s ease-out; }
  .frame img { display: block; max-width: 100%; max-height: min(70vh, var(--tall, 620px)); width: auto; height: auto; }
  .frame canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
  .frame canvas:not(.tool-look) { touch-action: none; }
  .frame canvas.tool-box { cursor: crosshair; }
  .frame canvas.tool-part, .frame canvas.tool-lasso, .frame canvas.tool-brush, .frame canvas.tool-eraser { cursor: none; }
  .frame canvas.tool-pan { cursor: grab; }
  .split { position: absolute; inset-block: 0; left: 0; width: 44px; margin-left: -22px; display: grid; place-items: center; cursor: ew-resize; touch-action: none; }
  .split-line { width: 3px; height: 100%; background: #ffffff; box-shadow: 0 0 0 1px rgb(16 20 28 / 0.75); }
  .split::after { content: '‹ ›' / ''; position: absolute; display: grid; place-items: center; width: 32px; height: 32px; border-radius: 50%; background: #ffffff; color: #10141c; border: 1px solid rgb(16 20 28 / 0.75); box-shadow: 0 1px 4px rgb(16 20 28 / 0.4); font: 700 1.125rem/1 system-ui, sans-serif; padding-bottom: 3px; }
  .split:focus-visible { outline-offset: -4px; }
  .frame canvas:focus-visible { outline-offset: -3px; }

  .tools { display: flex; flex-wrap: wrap; gap: 8px 18px; justify-content: space-between; }
  .tight { gap: 6px; }
  .gap { width: 6px; }
  button.icon, button.tool { display: grid; place-items: center; padding: 4px; min-width: 44px; min-height: 44px; }
  button.tool { min-width: 54px; padding: 5px 4px 3px; gap: 1px; font-size: 0.75rem; line-height: 1.2; }
  button.icon svg, button.tool svg { width: 22px; height: 22px; }
  button.small { font-size: 0.8125rem; padding: 4px 10px; min-height: 36px; }
  button.suggestion { font-size: 0.8125rem; font-weight: 450; padding: 4px 12px; min-height: 36px; border-radius: 18px; text-align: start; }
  button.icon[aria-pressed='false'] .slash { display: none; }
  .save[open] { flex-basis: 100%; }
  .preview { max-height: 16rem; overflow: auto; margin: 0; padding: 10px; background: var(--sunk); border-radius: 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
  summary { cursor: pointer; min-height: 24px; padding-block: 3px; }
  details > :not(summary) { margin-top: 8px; }
  .answer-card > summary { list-style-position: inside; }
  .answer-card > summary h2 { display: inline; }
  kbd { font: 0.8125rem/1.4 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }

  .parts { max-height: 264px; overflow-y: auto; border: 1px solid var(--edge); border-radius: 8px; padding: 4px; }
  .parts li { padding: 4px 10px; min-height: 32px; border-radius: 6px; cursor: pointer; font-size: 0.9375rem; }
  .parts li:hover { background: var(--sunk); }
  .parts li[aria-selected='true'] { background: var(--accent-wash); font-weight: 600; box-shadow: inset 3px 0 0 var(--accent); }
  .parts li:focus-visible { outline-offset: -2px; }
  .parts .depth-1 { padding-inline-start: 26px; } .parts .depth-2 { padding-inline-start: 42px; }
  .parts .depth-3 { padding-inline-start: 58px; } .parts .depth-4 { padding-inline-start: 74px; }
  .own { display: grid; gap: 4px; }
  .own .legend { font-weight: 600; font-size: 0.9375rem; }
  textarea { font: inherit; color: inherit; width: 100%; border-radius: 8px; border: 1px solid var(--edge); background: var(--card); padding: 8px 10px; resize: vertical; }
  .noview { line-height: 1.5; padding: 60px 20px; }

  .problem { border-color: var(--bad); background: var(--bad-wash); }
  .problem h2 { color: var(--bad); }
  .notice { background: var(--warn-wash); border-color: transparent; }
  .code { font: 0.8125rem/1.4 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; color: var(--soft); overflow-wrap: anywhere; }

  .band { display: grid; gap: 6px; }
  .band .title { font-size: 1.25rem; font-weight: 650; line-height: 1.25; }
  .scale { display: grid; grid-template-columns: repeat(4, 1fr); gap: 4px; max-width: 260px; margin-block: 2px 4px; }
  .scale i { height: 6px; border-radius: 3px; background: var(--line); }
  .scale i.on { background: var(--soft); }
  .band.signs .scale i.on, .band.strong_signs .scale i.on { background: var(--warn); }
  .band.strong_signs .title, .band.signs .title { color: var(--warn); }
  .answer { font-size: 1.0625rem; line-height: 1.75; overflow-wrap: anywhere; white-space: pre-line; }
  .caret::after { content: ''; display: inline-block; width: 0.5em; height: 1em; margin-inline-start: 2px; vertical-align: -0.15em; background: var(--faint); animation: blink 1.1s steps(2) infinite; }
  @keyframes blink { 50% { opacity: 0; } }
  @media (prefers-reduced-motion: reduce) { .frame.smooth { transition: none; } .caret::after { animation: none; } }

  .phrase {
    display: inline; min-height: 0; padding: 1px 4px 1px 2px; border: 0; border-radius: 4px; background: none; font: inherit; font-weight: 550; text-align: start;
    border-bottom: 3px solid var(--mark); border-bottom-left-radius: 0; border-bottom-right-radius: 0;
  }
  .phrase.on, .mark.on { background: var(--accent-wash); }
  .chip {
    display: inline-grid; place-items: center; min-width: 1.35em; height: 1.35em; padding-inline: 0.25em; margin-inline-end: 0.35em; border-radius: 0.7em;
    background: var(--mark); color: var(--on-mark, #10141c); font-size: 0.8em; font-weight: 700; line-height: 1; border: 1px solid rgb(16 20 28 / 0.55);
  }
  .c0 { --mark: #56b4e9; } .c1 { --mark: #e69f00; } .c2 { --mark: #cc79a7; } .c3 { --mark: #009e73; } .c4 { --mark: #f0e442; } .c5 { --mark: #d55e00; }
  .c6 { --mark: #0072b2; --on-mark: #ffffff; }
  .marks-title { margin-bottom: 4px; }
  .marks { display: grid; gap: 2px; }
  .mark { display: flex; gap: 4px 10px; flex-wrap: wrap; align-items: baseline; width: 100%; text-align: start; border-color: transparent; background: none; padding: 7px 8px; font-weight: 500; }
  .mark .soft { font-weight: 400; }
  .mark-row { display: grid; grid-template-columns: minmax(0, 1fr) auto auto; gap: 4px; align-items: center; }
  .mark-row .icon { border-color: transparent; background: none; color: var(--soft); }
  .mark-row .measured { grid-column: 1 / -1; margin: 0 0 4px; padding-inline-start: 10px; }
  .mark-row.off .mark { text-decoration: line-through; }
  .not-shown { border-inline-start: 3px solid var(--warn); padding-inline-start: 10px; }

  .glance { border-width: 2px; }
  .spread ul { list-style: disc; padding-inline-start: 1.2em; }
  .face + .face { border-top: 1px solid var(--line); padding-top: 16px; margin-top: 4px; }
  .limits { padding-inline-start: 1.1em; display: grid; gap: 8px; list-style: disc; }
  .limits li::marker { color: var(--faint); }
  .choices { display: flex; flex-wrap: wrap; gap: 6px 18px; }
  .choices label, .field { display: inline-flex; gap: 8px; align-items: center; min-height: 36px; }
  legend { padding: 0; margin-bottom: 4px; font-weight: 600; font-size: 0.9375rem; }
  .numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(116px, 1fr)); gap: 10px; }
  .numbers label { display: grid; gap: 2px; }
  .numbers input { width: 100%; }
  dl.facts { display: grid; grid-template-columns: auto 1fr; gap: 4px 14px; }
  dl.facts dd { overflow-wrap: anywhere; }
  dt { color: var(--soft); }
  .steps { display: grid; gap: 14px; counter-reset: step; }
  .steps li { display: grid; grid-template-columns: 28px 1fr; gap: 12px; }
  .steps svg { width: 24px; height: 24px; color: var(--accent); margin-top: 1px; }
  @container (max-width: 520px) {
    .card { padding: 14px; }
    button.tool { min-width: 46px; }
    .drop { min-height: 260px; padding: 24px 16px; }
    .drop button { min-height: 48px; }
  }
  /* All tools in one row, as long as their names fit. */
  @container (min-width: 340px) and (max-width: 520px) {
    .tools > [role='toolbar'] { display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); width: 100%; gap: 4px; }
    button.tool { min-width: 0; padding-inline: 0; }
    button.tool span { max-width: 100%; letter-spacing: -0.03em; overflow: hidden; text-overflow: ellipsis; }
  }
  @media (pointer: coarse) { button:not(.phrase) { min-height: 44px; } .choices label, .parts li, summary { min-height: 44px; } .parts li { padding-block: 9px; } }
`;

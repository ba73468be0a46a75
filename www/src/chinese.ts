/** Everything Chinese, loaded when it is asked for: the wording, and answers of known forms. */
export { explainZh } from './explain-zh';
export { zh } from './words-zh';

/** The class alone, to be registered under a name of one's own. No side effect. */
export { FacextAnalyzer, define } from '../src/element';

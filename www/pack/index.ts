/** Registers `<facext-analyzer>`; does nothing where there is no DOM. */
import { define } from '../src/element';

export { FacextAnalyzer, define } from '../src/element';
define();

/** The engine without the element. */
export { Facext, Fault } from '../src/facext';

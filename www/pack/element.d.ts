import type { FacextAnalyzerElement } from './types/widget-types.js';
export type { AnalyzerState, FacextAnalyzerElement, FacextEventMap } from './types/widget-types.js';
export type * from './types/protocol.js';
export type FacextAnalyzer = FacextAnalyzerElement;
/** The element's class. In Node it exists, but cannot be used. */
export declare const FacextAnalyzer: { new (): FacextAnalyzerElement; prototype: FacextAnalyzerElement };
/** Registers the class, under `facext-analyzer` unless another name is given; safe to call twice and in Node. */
export declare function define(name?: string): void;

/**
 * Stand-ins for the DOM names that Lit and the element use while they are only being imported. The package's build puts these in
 * place of the globals, so that an import in Node (server-side rendering) succeeds and does nothing; in a browser they are the globals.
 */
const dom = globalThis as typeof globalThis & Record<string, unknown>;
const HTMLElementHere = (dom.HTMLElement ?? class {}) as typeof HTMLElement;
const documentHere = (dom.document ?? { createTreeWalker: () => ({}) }) as Document;
const customElementsHere = (dom.customElements ?? { get: () => undefined, define: () => {} }) as CustomElementRegistry;
export { HTMLElementHere as HTMLElement, documentHere as document, customElementsHere as customElements };

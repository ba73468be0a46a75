// The content security policy of the pages, once for all of them: the build puts it into each, `pack/headers.mjs` into the headers of hosts
// that read a file for that.
//
// Nothing but this site's own scripts, styles and files; wasm may be compiled; pictures also from blobs, which is what a chosen photo is.
// Under Trusted Types only the policies of the worker's URLs and of Lit's templates exist.
export const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "img-src 'self' blob:",
  "style-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types facext lit-html',
].join('; ');

/** Vite plug-in: the policy in the place that each page keeps for it, before anything that it is about. */
export const policy = () => ({
  name: 'policy',
  transformIndexHtml: {
    order: 'pre',
    handler(html, { path }) {
      if (!html.includes('<!-- policy -->')) throw new Error(`${path} has no place for the policy`);
      return html.replace('<!-- policy -->', `<meta http-equiv="Content-Security-Policy" content="${POLICY}" />`);
    },
  },
});

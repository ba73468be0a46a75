// Writes `_headers` for hosts that read it (Cloudflare Pages, Netlify): the page's own policy as a header, too, so that it holds for the
// worker, and what is named by its hash may be kept for good.
//
//   node pack/headers.mjs DIRECTORY
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const dir = process.argv[2];
const html = readFileSync(join(dir, 'index.html'), 'utf8');
const csp = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(html)?.[1];
if (!csp) throw new Error('the page has no policy');
writeFileSync(join(dir, '_headers'), `/*
  Content-Security-Policy: ${csp}; frame-ancestors 'self'
  X-Content-Type-Options: nosniff
  Referrer-Policy: no-referrer
/assets/*
  Cache-Control: public, max-age=31536000, immutable
/weights/*.safetensors
  Cache-Control: public, max-age=31536000, immutable
`);

// Writes `_headers` for hosts that read it (Cloudflare Pages, Netlify): the page's own policy as a header, too, so that it holds for the
// worker, the page may compute on several threads, and what is named by its hash may be kept for good.
//
//   node pack/headers.mjs DIRECTORY
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { POLICY } from '../policy.mjs';
import { ISOLATED } from '../serve.mjs';

const isolated = Object.entries(ISOLATED).map(([name, value]) => `  ${name}: ${value}`).join('\n');

writeFileSync(join(process.argv[2], '_headers'), `/*
  Content-Security-Policy: ${POLICY}; frame-ancestors 'self'
  X-Content-Type-Options: nosniff
  Referrer-Policy: no-referrer
${isolated}
/assets/*
  Cache-Control: public, max-age=31536000, immutable
/weights/*.safetensors
  Cache-Control: public, max-age=31536000, immutable
`);

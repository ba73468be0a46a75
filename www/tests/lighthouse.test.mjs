// Lighthouse's scores of the page, on a desktop and on a phone. Times are for `npm run lighthouse`: here they would measure the machine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from './harness.mjs';
import { audit } from './lighthouse.mjs';

for (const [formFactor, path] of [['desktop', ''], ['mobile', '?lang=zh'], ['desktop', 'embed.html']]) {
  test(`Lighthouse, ${formFactor}, ${path || 'the page'}: accessibility and best practices are 95 or better`, async (t) => {
    const server = await startServer();
    t.after(() => server.close());
    const { accessibility, bestPractices } = await audit(server.url + path, { formFactor });
    t.diagnostic(`accessibility ${accessibility.score}, best practices ${bestPractices.score}`);
    assert.ok(accessibility.score >= 0.95, `accessibility ${accessibility.score}: ${accessibility.failed}`);
    assert.ok(bestPractices.score >= 0.95, `best practices ${bestPractices.score}: ${bestPractices.failed}`);
  });
}

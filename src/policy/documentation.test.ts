import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { parse as parseToml } from 'smol-toml';
import * as v from 'valibot';
import { root } from '../testing/source-tree.ts';
import { addressClasses, managementNumbers } from './address-class.ts';
import { grantClaimsSchema } from './grant.ts';
import { parseOwnerPolicy } from './owner-policy.ts';
import { permissionVerbs } from './schema.ts';

const page = readFileSync(join(root, 'docs/security.md'), 'utf8');

function blocks(language: string): string[] {
  return [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    match => match[1] ?? '',
  );
}

test("the page's grants and policies are what the code accepts", t => {
  for (const text of blocks('json')) t.true(v.safeParse(grantClaimsSchema, JSON.parse(text)).success, text);
  for (const text of blocks('toml'))
    t.notThrows(() => parseOwnerPolicy(parseToml(text).owner, 'docs/security.md'), text);
  t.true(blocks('json').length > 0 && blocks('toml').length > 0);
});

test('the page names every field of a grant, every command, class and management number', t => {
  const words = [...Object.keys(grantClaimsSchema.entries), ...permissionVerbs, ...addressClasses];
  for (const word of words) t.regex(page, new RegExp(`\`${word}[\`.]`), word);
  for (const number of managementNumbers) t.regex(page, new RegExp(`\\b${number}\\b`));
});

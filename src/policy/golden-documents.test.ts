import test from 'ava';
import {
  signTestGrant,
  signTestTrust,
  testKeys,
  testMediator,
  testTimeMs,
  testTrust,
  testTrustClaims,
} from './fixtures.ts';
import {
  enrolledGolden,
  grantGolden,
  invitedGolden,
  inviterTrustGolden,
  memberGolden,
  trustGolden,
} from './golden-documents.ts';
import { verifyGrant } from './grant-verify.ts';
import { verifyMemberStatement } from './member-statement.ts';
import { verifyTrustStatement } from './trust-statement.ts';

test('documents are signed byte for byte as they were when version 1 began', async t => {
  t.is(await signTestTrust(), trustGolden);
  t.is((await testMediator()).text, memberGolden);
  t.is(await signTestGrant(), grantGolden);
});

test('documents of the beginning of version 1 are still read', async t => {
  const trust = await verifyTrustStatement(trustGolden, testTrustClaims.authorityKeys);
  t.is(trust.operator, 'Test Operator');
  t.is((await verifyMemberStatement(memberGolden, trust)).name, 'gw-1');
  t.is((await verifyGrant(grantGolden, trust, testTimeMs)).id, 'grant-0001');
  t.like(await verifyMemberStatement(enrolledGolden, await testTrust()), {
    key: testKeys.terminal.text,
    role: 'terminal',
    name: 'tech-1',
    seq: 0,
  });
});

test('a statement with an inviter, and who came by it, are signed byte for byte and read as when there first were inviters', async t => {
  const inviter = {
    key: testKeys.delegate.text,
    name: 'api',
    notAfter: testTimeMs / 1000 + 86_400,
    names: 'new-',
    labels: ['voip'],
    lifeS: 3600,
  };
  t.is(await signTestTrust({ inviters: [inviter] }), inviterTrustGolden);
  const trust = await verifyTrustStatement(inviterTrustGolden, testTrustClaims.authorityKeys);
  t.like(trust.inviters[0], { name: 'api', names: 'new-', labels: ['voip'], lifeMs: 3_600_000 });
  t.like(await verifyMemberStatement(invitedGolden, trust), {
    key: testKeys.mediator.text,
    role: 'mediator',
    name: 'new-1',
    labels: ['voip'],
    seq: 0,
  });
});

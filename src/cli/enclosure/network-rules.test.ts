import test from 'ava';
import { resolvConf, withoutOtherServices } from './network-rules.ts';

test('names are asked of the hosts file and of DNS alone, the other databases are as they were', t => {
  const before = `# comment
passwd:         files systemd
hosts:          files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return] dns
networks:       files
`;
  t.is(
    withoutOtherServices(before),
    '# comment\npasswd:         files systemd\nnetworks:       files\nhosts: files dns\n',
  );
  t.is(withoutOtherServices(''), 'hosts: files dns\n');
});

test('the resolver has one server and no search list of this machine’s', t => {
  t.regex(resolvConf, /^nameserver 192\.0\.2\.53$/m);
  t.regex(resolvConf, /^search \.$/m);
});

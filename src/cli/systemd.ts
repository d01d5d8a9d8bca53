/** A word of systemd's command lines and assignments (systemd.service(5), systemd.syntax(7)): `%` and `$` mean more there. */
export function systemdWord(text: string): string {
  const plain = text.replace(/[%$]/g, '$&$&');
  return /^[\w@+=:,./%$-]+$/.test(plain) ? plain : `"${plain.replace(/[\\"]/g, '\\$&')}"`;
}

import { systemdWord as word } from './systemd.ts';

/** What a systemd user unit for `entremise up` is made of. */
export interface UserUnitOptions {
  /** The file of forwards, absolute. */
  readonly file: string;
  /** The words that start the CLI, without a verb, absolute. */
  readonly program: readonly string[];
  /** Environment that the unit needs as well. */
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * The text of a systemd user unit that keeps a file of forwards for ever. What another start would not cure, a wrong file
 * or a profile that is not enrolled, is not tried again.
 */
export function userUnit({ file, program, environment }: UserUnitOptions): string {
  const variables = Object.entries(environment).map(
    ([name, value]) => `Environment=${word(`${name}=${value}`)}`,
  );
  return [
    '[Unit]',
    `Description=Entremise: the forwards of ${file.replace(/%/g, '%%')}`,
    '',
    '[Service]',
    'Type=exec',
    ...variables,
    `ExecStart=${[...program, 'up', file].map(word).join(' ')}`,
    'Restart=always',
    'RestartSec=10',
    'RestartPreventExitStatus=2 6',
    'NoNewPrivileges=yes',
    '',
    '[Install]',
    'WantedBy=default.target',
    '',
  ].join('\n');
}

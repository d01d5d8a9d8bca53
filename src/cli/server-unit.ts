import { systemdWord as word } from './systemd.ts';

/** What a systemd unit for a server is made of. */
export interface ServerUnitOptions {
  /** The words that start the CLI, without a verb, absolute. */
  readonly program: readonly string[];
  /** The server's state directory, absolute. */
  readonly stateDir: string;
  /** The system user that it runs as. */
  readonly user: string;
  /** The service port's number: those below 1024 want a capability. */
  readonly number: number;
}

/** What nothing that the server does needs (systemd.exec(5)); `systemd-analyze security` counts them. */
const hardening = [
  'NoNewPrivileges=yes',
  'ProtectSystem=strict',
  'ProtectHome=yes',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'PrivateMounts=yes',
  'ProtectKernelTunables=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelLogs=yes',
  'ProtectControlGroups=yes',
  'ProtectClock=yes',
  'ProtectHostname=yes',
  'ProtectProc=invisible',
  'RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'RemoveIPC=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'UMask=0077',
];

/**
 * The text of a systemd unit for a server: its own user, the state directory and nothing else to write to, and as many file
 * descriptors as members need. What another start would not cure, a wrong configuration, is not tried again.
 */
export function serverUnit({ program, stateDir, user, number }: ServerUnitOptions): string {
  const capability = number > 0 && number < 1024 ? 'CAP_NET_BIND_SERVICE' : '';
  return [
    '[Unit]',
    'Description=Entremise: the switch between terminals and mediators',
    'After=network-online.target',
    'Wants=network-online.target',
    '',
    '[Service]',
    'Type=exec',
    `User=${user}`,
    `ExecStart=${[...program, 'server', 'run', '--state', stateDir].map(word).join(' ')}`,
    'ExecReload=/bin/kill -HUP $MAINPID',
    'Restart=always',
    'RestartSec=2',
    'RestartPreventExitStatus=2',
    'LimitNOFILE=262144',
    `ReadWritePaths=${word(stateDir)}`,
    ...hardening,
    `AmbientCapabilities=${capability}`,
    `CapabilityBoundingSet=${capability}`,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
}

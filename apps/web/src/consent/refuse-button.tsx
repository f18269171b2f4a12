import { endSession } from '../account/session.ts';
import type { Opened } from '../account/sign-in.ts';
import { useAttempt } from '../ui/attempt.ts';
import { Problem } from '../ui/parts.tsx';

/** Says no to who asks. A session that was opened to answer ends with it. */
export function RefuseButton(props: {
  label: string;
  account: Opened | undefined;
  refuse: (account: Opened | undefined) => Promise<void>;
}) {
  const { account } = props;
  const attempt = useAttempt();
  return (
    <>
      <Problem text={attempt.problem} />
      <button
        id="refuse"
        type="button"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(async () => {
            await props.refuse(account);
            if (account) await endSession(account);
          });
        }}
      >
        {props.label}
      </button>
    </>
  );
}

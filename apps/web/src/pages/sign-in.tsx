import { keepSession, session } from '../account/session.ts';
import { strings } from '../strings/strings.ts';
import { arrivedWith, goTo } from '../ui/route.ts';
import { Enter } from './enter.tsx';

/** `/`, `/signin` and `/signup` in a browser that is signed in nowhere else. */
export function SignIn({ path }: { path: string }) {
  const words = strings.enter;
  const isNew = path === '/signup';
  return (
    <Enter
      key={path}
      title={isNew ? words.titleNew : words.title}
      intro={words.intro}
      first={isNew ? 'signup' : 'signin'}
      email={arrivedWith.get('email') ?? session.value?.email ?? ''}
      onEntered={async (account) => {
        keepSession(account);
        goTo('/settings');
        return Promise.resolve();
      }}
    />
  );
}

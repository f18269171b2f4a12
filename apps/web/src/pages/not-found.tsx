import { strings } from '../strings/strings.ts';
import { Link, Page } from '../ui/parts.tsx';

/** An address that is none of ours. */
export function NotFound() {
  const words = strings.notFound;
  return (
    <Page name="not-found" title={words.title}>
      <p>{words.text}</p>
      <p>
        <Link to="/">{words.home}</Link>
      </p>
    </Page>
  );
}

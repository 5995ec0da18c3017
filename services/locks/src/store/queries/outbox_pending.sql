-- How many events wait for a relay, counted no further than asked.
SELECT count(*) AS "pending!" FROM (SELECT FROM locks.outbox WHERE published_at IS NULL LIMIT $1) AS waiting

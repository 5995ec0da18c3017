-- Held jobs stay blocked, and an earlier version finds nothing that they wait for: free them first (policy.mode = "standalone").
DROP TABLE jobs.job_holds;

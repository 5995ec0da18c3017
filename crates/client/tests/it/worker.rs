//! Workers under everything that happens to workers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use futures::{TryStreamExt as _, future::try_join_all};
use holdfast_client::{
    Answer, CancellationToken, Client, Error, Handler, IdempotencyKey, Job, JobError, JobExt as _, JobState, Jobs,
    Payload, Reason, Worker, WorkerEvent, WorkerSpec, bytes, json, pb,
};
use holdfast_testkit::eventually;
use tokio::{
    sync::{Barrier, Notify},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    proxy::Proxy,
    support::{INTENT, SOON, Site, builder, job, lively, run},
};

/// A worker that runs beside the test, and what it was told.
struct Running {
    stop: CancellationToken,
    told: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    fn start(client: Client, spec: WorkerSpec, handler: impl Handler) -> Self {
        let (stop, told) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let (stopped, log) = (stop.clone(), told.clone());
        let worker = Worker::new(client, spec).observed_by(move |event| log.lock().unwrap().push(line(event)));
        let task = tokio::spawn(async move { worker.run(handler, &stopped).await });
        Self { stop, told, task }
    }

    fn told(&self, what: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|line| line.contains(what)).count()
    }

    async fn until_told(&self, what: &str) -> Result<()> {
        let found = eventually(|| async { self.told(what) > 0 }, SOON).await;
        found.map_err(|error| error.context(format!("{what} in {:?}", self.told.lock().unwrap())))
    }

    /// Tells it to stop and waits for its orderly end.
    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(timeout(SOON, self.task).await???)
    }
}

/// What happened, to which lease.
fn line(event: &WorkerEvent<'_>) -> String {
    match event {
        WorkerEvent::Welcomed { .. } => "welcomed".to_owned(),
        WorkerEvent::Leased(job) => format!("leased {}", job.lease().lease_id),
        WorkerEvent::Answered { lease, outcome } => {
            let what = match outcome {
                Ok(Answer::Done { replayed: true }) => "done before".to_owned(),
                Ok(answer) => format!("{answer:?}"),
                Err(error) => format!("refused {}", error.name()),
            };
            format!("answered {} {what}", lease.lease_id)
        }
        WorkerEvent::Revoked { lease, cause } => format!("revoked {} {cause}", lease.lease_id),
        WorkerEvent::Disconnected { cause, .. } => format!("disconnected {cause}"),
        other => format!("{other:?}"),
    }
}

fn spec(capacity: u16) -> WorkerSpec {
    WorkerSpec { capacity, ..WorkerSpec::new("worker-1", [INTENT]) }
}

fn done() -> Result<Payload, JobError> {
    Ok(json("done")?)
}

async fn ended(jobs: &Jobs, job_id: &str) -> Result<pb::Job> {
    Ok(jobs.wait(job_id, SOON).await?)
}

/// How often the history says that the job became this.
async fn times(jobs: &Jobs, job_id: &str, state: JobState) -> Result<usize> {
    let events: Vec<pb::JobEvent> = jobs.events(job_id).try_collect().await?;
    Ok(events.iter().filter(|event| event.to_state() == state).count())
}

#[test]
fn jobs_are_worked_on_side_by_side_and_no_more_than_allowed() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (here, highest, full) = (now.clone(), most.clone(), Arc::new(Barrier::new(4)));
        let handler = move |job: Job| {
            let (here, highest, full) = (here.clone(), highest.clone(), full.clone());
            async move {
                highest.fetch_max(here.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                // Nobody ends before as many work as may: forty are ten times four.
                full.wait().await;
                here.fetch_sub(1, Ordering::AcqRel);
                let number: u32 = job.payload_json()?;
                assert!(job.fencing_token() > 0 && job.deadline().is_some());
                Ok(json(&(number * 2))?)
            }
        };
        let worker = Running::start(site.worker()?, spec(4), handler);
        let submitted = jobs.submit_all((0..40).map(job)).await;
        for (number, one) in submitted.into_iter().enumerate() {
            assert_eq!(ended(&jobs, &one?.job_id).await?.result_json::<usize>()?, number * 2);
        }
        assert_eq!(most.load(Ordering::Acquire), 4, "at once");
        worker.stop().await
    })
}

#[test]
fn a_failure_says_whether_to_try_again_and_a_panic_is_one() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let handler = async |job: Job| match (job.payload_json::<String>()?.as_str(), job.attempt) {
            ("again", 1) => Err(JobError::retryable("disk_full", "no space left")),
            ("panic", 1) => panic!("a secret of the handler"),
            ("never", _) => Err(JobError::permanent("no_such_file", "it is gone")),
            ("large", _) => Ok(bytes(vec![0; 2 * 1024 * 1024], "application/octet-stream")),
            ("refused", _) => Ok(bytes("no JSON", "application/json")),
            ("untyped", _) => Ok(bytes("x", "not a type")),
            ("number", _) => job.payload_json::<u32>().and(done()),
            _ => done(),
        };
        let worker = Running::start(site.worker()?, spec(4), handler);
        for (payload, state, attempt, code) in [
            ("again", JobState::Done, 2, "disk_full"),
            ("panic", JobState::Done, 2, "panicked"),
            ("never", JobState::Failed, 1, "no_such_file"),
            ("large", JobState::Failed, 1, "result_too_large"),
            ("refused", JobState::Failed, 1, "result_refused"),
            ("untyped", JobState::Failed, 1, "result_refused"),
            ("number", JobState::Failed, 1, "payload_invalid"),
        ] {
            let job = ended(&jobs, &jobs.submit(job(payload)).await?.job_id).await?;
            let failure = job.last_failure.clone().unwrap_or_default();
            assert_eq!((job.state(), job.attempt, failure.code.as_str()), (state, attempt, code), "{payload}");
            assert!(!failure.message.contains("secret"), "{}", failure.message);
        }
        assert_eq!(worker.told("disconnected"), 0, "no answer has ended the session");
        worker.stop().await
    })
}

#[test]
fn progress_is_seen_while_the_work_goes_on() -> Result<()> {
    run(async {
        let site = Site::brief().await?;
        let jobs = site.owner()?.jobs();
        let finish = Arc::new(Notify::new());
        let may_finish = finish.clone();
        let handler = move |job: Job| {
            let may_finish = may_finish.clone();
            async move {
                job.progress(40, "two of five");
                may_finish.notified().await;
                done()
            }
        };
        let worker = Running::start(site.worker()?, spec(1), handler);
        let job_id = jobs.submit(job(1)).await?.job_id;
        let seen = || async { jobs.get(&job_id).await.ok()?.progress };
        let progress = eventually(seen, SOON).await?;
        assert_eq!((progress.percent, progress.note.as_str()), (40, "two of five"));
        finish.notify_one();
        assert_eq!(ended(&jobs, &job_id).await?.state(), JobState::Done);
        worker.stop().await
    })
}

/// Works until it is told to stop, and says that it has cleaned up; forever, where it is not told.
fn until_stopped(cleaned_up: Arc<AtomicUsize>) -> impl Handler {
    move |job: Job| {
        let cleaned_up = cleaned_up.clone();
        async move {
            job.stopped().cancelled().await;
            tokio::task::yield_now().await;
            cleaned_up.fetch_add(1, Ordering::AcqRel);
            Err(JobError::retryable("stopped", "told to"))
        }
    }
}

#[test]
fn a_cancelled_job_tells_its_handler_to_stop() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let cleaned_up = Arc::new(AtomicUsize::new(0));
        let worker = Running::start(site.worker()?, spec(1), until_stopped(cleaned_up.clone()));
        let job_id = jobs.submit(job(1)).await?.job_id;
        worker.until_told("leased").await?;
        jobs.cancel(&job_id, "not needed", &IdempotencyKey::random()).await?;
        worker.until_told("JOB_409_ALREADY_TERMINAL").await?;
        eventually(|| async { cleaned_up.load(Ordering::Acquire) == 1 }, SOON).await?;
        assert_eq!(worker.told("answered"), 0, "nobody answers for what is cancelled");
        worker.stop().await
    })
}

#[test]
fn a_handler_that_does_not_hear_is_dropped_after_its_patience() -> Result<()> {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let dropped = Arc::new(AtomicUsize::new(0));
        let count = dropped.clone();
        let handler = move |_: Job| {
            let guard = Dropped(count.clone());
            async move {
                let _guard = guard;
                std::future::pending().await
            }
        };
        let spec = WorkerSpec { stop_patience: Duration::from_millis(50), ..spec(1) };
        let worker = Running::start(site.worker()?, spec, handler);
        let job_id = jobs.submit(job(1)).await?.job_id;
        worker.until_told("leased").await?;
        jobs.cancel(&job_id, "", &IdempotencyKey::random()).await?;
        eventually(|| async { dropped.load(Ordering::Acquire) == 1 }, SOON).await?;
        worker.stop().await
    })
}

#[test]
fn a_worker_that_slept_through_its_lease_does_not_answer_for_it() -> Result<()> {
    run(async {
        let site = Site::brief().await?;
        let jobs = site.owner()?.jobs();
        let job_id = jobs.submit(job(1)).await?.job_id;
        let (told, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let (log, stopped) = (told.clone(), stop.clone());
        let token = site.stack.tokens.worker("w", &site.tenant)?;
        let endpoint = site.endpoint();
        let (wake, asleep) = std::sync::mpsc::channel();
        let asleep = Arc::new(Mutex::new(asleep));
        // One thread, so that the handler stops all of it: as a process that is paused.
        let sleeper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let client = builder(&endpoint, &token).build()?;
                let worker =
                    Worker::new(client, spec(1)).observed_by(move |event| log.lock().unwrap().push(line(event)));
                let handler = move |job: Job| {
                    let asleep = asleep.clone();
                    async move {
                        if job.attempt == 1 {
                            asleep.lock().unwrap().recv().expect("somebody wakes it");
                            return Ok(json("too late")?);
                        }
                        done()
                    }
                };
                worker.run(handler, &stopped).await
            })
        });
        // Long after: it was given the job once more, and has slept through that too.
        let is_retried = || async { times(&jobs, &job_id, JobState::Retrying).await.is_ok_and(|times| times > 1) };
        eventually(is_retried, SOON).await?;
        wake.send(())?;
        let job = ended(&jobs, &job_id).await?;
        stop.cancel();
        sleeper.join().expect("the worker does not panic")?;
        assert_eq!((job.state(), job.result_json::<String>()?.as_str()), (JobState::Done, "done"));
        let told = told.lock().unwrap();
        let first = told.iter().find_map(|line| line.strip_prefix("leased ")).expect("it was leased");
        assert!(told.iter().any(|line| line.starts_with(&format!("revoked {first}"))), "{told:?}");
        assert!(
            !told.iter().any(|line| line.starts_with(&format!("answered {first}"))),
            "it did not even try: {told:?}"
        );
        Ok(())
    })
}

#[test]
fn work_whose_lease_runs_out_in_silence_is_told_to_stop() -> Result<()> {
    run(async {
        let site = Site::brief().await?;
        let jobs = site.owner()?.jobs();
        let proxy = Proxy::start(site.stack.jobs[0].grpc_port).await?;
        let cleaned_up = Arc::new(AtomicUsize::new(0));
        let spec = WorkerSpec { drain_patience: Duration::ZERO, ..spec(1) };
        let worker = Running::start(site.worker_at(&proxy.endpoint())?, spec, until_stopped(cleaned_up.clone()));
        let job_id = jobs.submit(job(1)).await?.job_id;
        worker.until_told("leased").await?;
        proxy.silence(true);
        // No word can come through: it is this side's clock that says so.
        eventually(|| async { cleaned_up.load(Ordering::Acquire) > 0 }, SOON).await?;
        worker.until_told("the lease ran out").await?;
        let is_retried = || async { times(&jobs, &job_id, JobState::Retrying).await.is_ok_and(|times| times > 0) };
        eventually(is_retried, SOON).await?;
        proxy.silence(false);
        worker.stop().await
    })
}

#[test]
fn told_to_stop_it_finishes_what_it_can_and_gives_back_the_rest() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let finish = Arc::new(Notify::new());
        let may_finish = finish.clone();
        let handler = move |job: Job| {
            let may_finish = may_finish.clone();
            async move {
                match job.payload_json::<String>()?.as_str() {
                    "finishes" => {
                        may_finish.notified().await;
                        done()
                    }
                    "gives up" => {
                        job.stopped().cancelled().await;
                        Err(JobError::permanent("stopped", "told to"))
                    }
                    _ => std::future::pending().await,
                }
            }
        };
        let patience = Duration::from_millis(500);
        let spec = WorkerSpec { drain_patience: patience, stop_patience: patience, ..spec(3) };
        let worker = Running::start(site.worker()?, spec, handler);
        let mut ids = BTreeMap::new();
        for payload in ["finishes", "gives up", "hangs"] {
            ids.insert(payload, jobs.submit(job(payload)).await?.job_id);
        }
        eventually(|| async { worker.told("leased") == 3 }, SOON).await?;
        worker.stop.cancel();
        finish.notify_one();
        worker.stop().await?;
        assert_eq!(jobs.get(&ids["finishes"]).await?.state(), JobState::Done);
        for payload in ["gives up", "hangs"] {
            let job = jobs.get(&ids[payload]).await?;
            assert_eq!((job.state(), job.attempt), (JobState::Queued, 0), "{payload}: at no cost of an attempt");
        }
        Ok(())
    })
}

#[test]
fn an_answer_whose_acknowledgement_was_lost_is_given_again() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let jobs = site.owner()?.jobs();
        let proxy = Arc::new(Proxy::start(site.stack.jobs[0].grpc_port).await?);
        let armed = proxy.clone();
        let handler = move |_: Job| {
            // Heartbeats are ten seconds apart: the next thing to come is the word on the answer.
            armed.lose_answer();
            async { done() }
        };
        let worker = Running::start(site.worker_at(&proxy.endpoint())?, spec(1), handler);
        worker.until_told("welcomed").await?;
        let job_id = jobs.submit(job(1)).await?.job_id;
        worker.until_told("done before").await?;
        assert_eq!(ended(&jobs, &job_id).await?.attempt, 1);
        assert_eq!((times(&jobs, &job_id, JobState::Done).await?, proxy.lost()), (1, 1));
        worker.stop().await
    })
}

/// Ends when it may, whatever instance serves it by then.
fn gated(open: CancellationToken, begun: Arc<AtomicUsize>) -> impl Handler {
    move |_: Job| {
        let open = open.clone();
        begun.fetch_add(1, Ordering::AcqRel);
        async move {
            open.cancelled().await;
            done()
        }
    }
}

#[test]
fn an_instance_that_is_killed_costs_no_attempt() -> Result<()> {
    run(async {
        let stack = lively().start().await?;
        let instance = &stack.jobs[0];
        let jobs = builder(&instance.endpoint(), &stack.tokens.owner("ada", "acme")?).build()?.jobs();
        let client = builder(&instance.endpoint(), &stack.tokens.worker("w", "acme")?).build()?;
        let (open, begun) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let worker = Running::start(client, spec(20), gated(open.clone(), begun.clone()));
        let submitted = jobs.submit_all((0..20).map(job)).await;
        let ids: Vec<String> = submitted.into_iter().map(|one| Ok(one?.job_id)).collect::<Result<_, Error>>()?;
        eventually(|| async { begun.load(Ordering::Acquire) == 20 }, SOON).await?;

        instance.process.kill().await?;
        worker.until_told("disconnected").await?;
        // Half of it ends while nobody is there to hear it.
        open.cancel();
        instance.process.restart()?;
        instance.process.ready(SOON).await?;
        for job in try_join_all(ids.iter().map(|id| ended(&jobs, id))).await? {
            assert_eq!((job.state(), job.attempt), (JobState::Done, 1), "the lease outlived the instance");
            assert_eq!(times(&jobs, &job.job_id, JobState::Done).await?, 1);
        }
        assert_eq!((begun.load(Ordering::Acquire), worker.told("welcomed")), (20, 2));
        worker.stop().await
    })
}

#[test]
fn an_instance_that_stops_in_order_is_left_for_another_with_all_that_is_held() -> Result<()> {
    run(async {
        let stack = lively().jobs(2).start().await?;
        let [stopping, staying] = &stack.jobs[..] else { anyhow::bail!("two were asked for") };
        let jobs = builder(&staying.endpoint(), &stack.tokens.owner("ada", "acme")?).build()?.jobs();
        let client = builder(&stopping.endpoint(), &stack.tokens.worker("w", "acme")?);
        let client = client.endpoint(staying.endpoint()).build()?;
        let (open, begun) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let worker = Running::start(client, spec(5), gated(open.clone(), begun.clone()));
        worker.until_told("welcomed").await?;
        let submitted = jobs.submit_all((0..5).map(job)).await;
        let ids: Vec<String> = submitted.into_iter().map(|one| Ok(one?.job_id)).collect::<Result<_, Error>>()?;
        eventually(|| async { begun.load(Ordering::Acquire) == 5 }, SOON).await?;

        let status = stopping.process.terminate(SOON).await?;
        assert!(status.success(), "nothing was left to wait for: {status}");
        eventually(|| async { worker.told("welcomed") == 2 }, SOON).await?;
        open.cancel();
        for job in try_join_all(ids.iter().map(|id| ended(&jobs, id))).await? {
            assert_eq!((job.state(), job.attempt), (JobState::Done, 1));
        }
        assert_eq!(begun.load(Ordering::Acquire), 5, "nothing was begun twice");
        worker.stop().await
    })
}

#[test]
fn what_cannot_be_helped_ends_the_worker() -> Result<()> {
    run(async {
        let site = Site::patient().await?;
        let stop = CancellationToken::new();
        let ends = async |client: Client, spec| {
            let worker = Worker::new(client, spec).run(async |_: Job| done(), &stop);
            timeout(SOON, worker).await.map(|ended| ended.expect_err("it cannot work"))
        };
        let error = ends(site.owner()?, spec(1)).await?;
        assert!(error.is(Reason::Auth403Role), "{error:?}");
        let error = ends(site.worker()?, WorkerSpec { intents: vec!["No Intent".into()], ..spec(1) }).await?;
        assert!(error.is(Reason::Req400InvalidSchema), "{error:?}");
        assert_eq!(error.fields[0].field, "hello.intents[0]");
        let error = ends(builder(&site.endpoint(), "garbage").build()?, spec(1)).await?;
        assert!(error.is(Reason::Auth401InvalidToken), "{error:?}");
        Ok(())
    })
}

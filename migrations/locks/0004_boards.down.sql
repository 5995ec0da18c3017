DO $$
DECLARE
    function regprocedure;
BEGIN
    FOR function IN SELECT oid FROM pg_proc WHERE pronamespace = 'locks'::regnamespace AND proname IN ('board_look', 'board_write') LOOP
        EXECUTE format('DROP FUNCTION %s', function);
    END LOOP;
END $$;

DROP FUNCTION locks.board_write;
DROP FUNCTION locks.board_look;

SELECT class, rank, description FROM locks.lock_classes ORDER BY rank

-- What the commands of a batch came to; see the function.
SELECT locks.board_write(
    scope => $1, decided_at => $2, lock_within_ms => $3, guards => $4, owner_tenants => $5, owner_actors => $6, owner_labels => $7,
    key_tenants => $8, key_actors => $9, asked_keys => $10, known => $11, head_tenants => $12, head_projects => $13, head_classes => $14,
    head_keys => $15, head_turns => $16, head_next_turns => $17, head_fences => $18, head_versions => $19, head_places => $20,
    head_leases => $21, head_rejected_at => $22, removed_leases => $23, removed_tenants => $24, told_leases => $25, told_tenants => $26,
    told_calls => $27, put_leases => $28, put_tenants => $29, put_actors => $30, put_owners => $31, put_keys => $32, put_hashes => $33,
    put_projects => $34, put_classes => $35, put_resource_keys => $36, put_fences => $37, put_ttls => $38, put_stale_afters => $39,
    put_renewals_max => $40, put_asked_at => $41, put_calls => $42, put_granted_at => $43, put_expires_at => $44, put_stale_at => $45,
    put_instances => $46, put_standing => $47, put_places => $48, put_requests => $49, put_traces => $50, entry_leases => $51,
    entry_ordinals => $52, entry_kinds => $53, entry_whats => $54, entry_tenants => $55, entry_projects => $56, entry_classes => $57,
    entry_keys => $58, entry_fences => $59, entry_versions => $60, entry_holders => $61, entry_owners => $62, entry_actors => $63,
    entry_details => $64, entry_events => $65, entry_at => $66, entry_requests => $67, entry_traces => $68, entry_shards => $69,
    entry_ordering_keys => $70, entry_payloads => $71
) AS written_at

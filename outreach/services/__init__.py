"""What outreach does: intake, worker, maintenance, reconciliation and explanations."""

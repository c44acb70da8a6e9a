"""Write-behind from Redis to PostgreSQL: recorder, closer, partition leases."""
